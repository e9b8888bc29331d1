//! What the protocol itself costs: an engine that answers at once, in a process of its own.
//!
//! `cargo bench -p edgemaxx-engine`. The latency that a contest would record is benchmarked
//! (request sent to picture received), and beside it the whole call with its copies.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use edgemaxx_contract::contest::Timeouts;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::task::picture;
use edgemaxx_devices::Pins;
use edgemaxx_engine::task::picture::PICTURE;
use edgemaxx_engine::{
    Ask, Codec as _, Engine as _, Limits, Load, ProcessEngine, ProcessSpec, Question, SandboxStatus, null,
};

/// The argument that makes this program the engine.
const ENGINE: &str = "null-engine";

fn main() {
    if std::env::args().any(|argument| argument == ENGINE) {
        std::process::exit(i32::from(null::serve(|_| Some(&PICTURE)).is_err()));
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(50);
    for side in [64, 512, 1024] {
        overhead(&mut criterion, side);
    }
    criterion.final_summary();
}

fn overhead(criterion: &mut Criterion, side: u32) {
    let timeouts = Timeouts { load_s: 10.0, request_s: 10.0, exit_s: 5.0 };
    let spec = ProcessSpec {
        command: vec![std::env::current_exe().expect("this program").into(), ENGINE.into()],
        folder: None,
        read_only: Vec::new(),
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(1),
        limits: Limits::default(),
        timeouts,
        sandbox: SandboxStatus::Unsandboxed { reason: "a benchmark".to_owned() },
    };
    let (mut engine, _, _) = ProcessEngine::launch(&spec).expect("launched");
    let (prompts, negative_prompt) = Default::default();
    let request = picture::Request { prompts, negative_prompt, width: side, height: side };
    let request = request.checked().expect("a request");
    let (steps, guidance_scale, dtype) = (20, 5.0, Dtype::F32);
    let settings = picture::Settings { steps, guidance_scale, scheduler: None, dtype, vae_tiling: false };
    let settings = settings.checked().expect("settings");
    let load = Load {
        checkpoint: "/".to_owned(),
        replaced: Default::default(),
        threads: 1,
        task: PICTURE.task().to_owned(),
        settings: PICTURE.settings(&request, &settings).expect("settings"),
    };
    let ready = engine.load(&load).expect("loaded").ready;
    let prompt = "a red apple on a table by the window".to_owned();
    let planned = PlannedRequest { id: 0, seed: 1, ask: picture::Ask { prompt }.checked().expect("an ask") };
    let payload = PICTURE.payload(&request, &planned, &ready).expect("noise");
    let mut id = 0;
    let mut latency = || {
        id += 1;
        let question = Question { request: &request, settings: &settings, planned: &planned };
        let header = PICTURE.header(question, &ready).expect("a request");
        let ask = Ask { id, header, payload: &payload, limits: PICTURE.limits(&request) };
        Duration::from_nanos(black_box(engine.ask(&ask).expect("a picture")).latency_ns)
    };
    let mut group = criterion.benchmark_group("null engine");
    group.bench_function(BenchmarkId::new("latency recorded", side), |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| latency()).sum());
    });
    // On a busy machine the others' work is in the mean, and hardly in the best.
    group.bench_function(BenchmarkId::new("latency recorded, best of 20", side), |bencher| {
        bencher.iter_custom(|times| {
            (0..times).map(|_| (0..20).map(|_| latency()).min().unwrap_or_default()).sum()
        });
    });
    group.bench_function(BenchmarkId::new("whole call", side), |bencher| bencher.iter(&mut latency));
    group.finish();
}
