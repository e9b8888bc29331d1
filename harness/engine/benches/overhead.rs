//! What the protocol itself costs: an engine that answers at once, in a process of its own.
//!
//! `cargo bench -p edgemaxx-engine`. The latency that a contest would record is benchmarked
//! (request sent to picture received), and beside it the whole call with its copies.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use edgemaxx_contract::contest::Timeouts;
use edgemaxx_engine::{
    Engine as _, Limits, Picture, Pins, ProcessEngine, ProcessSpec, Request, SandboxStatus, serve,
};
use edgemaxx_protocol::{Dtype, Hello, Load, Ready, Settings};

/// The argument that makes this program the engine.
const ENGINE: &str = "null-engine";

fn main() {
    if std::env::args().any(|argument| argument == ENGINE) {
        let hello = Hello { engine: "null".to_owned(), version: "1".to_owned() };
        let served = serve(&hello, |load| {
            let (width, height) = (load.settings.width, load.settings.height);
            let rgb = vec![127; (width * height * 3) as usize];
            let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
            Ok((ready, move |_: &_| Ok(Picture { width, height, rgb: rgb.clone() })))
        });
        std::process::exit(i32::from(served.is_err()));
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
        needs: Vec::new(),
        pins: Pins { threads: 1, gpu: None },
        limits: Limits::default(),
        timeouts,
        sandbox: SandboxStatus::Unsandboxed { reason: "a benchmark".to_owned() },
    };
    let (mut engine, _, _) = ProcessEngine::launch(&spec).expect("launched");
    let settings = Settings {
        steps: 1,
        guidance_scale: 1.0,
        scheduler: None,
        dtype: Dtype::F32,
        vae_tiling: false,
        threads: 1,
        width: side,
        height: side,
    };
    engine.load(&Load { checkpoint: "/".to_owned(), unet: None, settings }).expect("loaded");
    let latents = vec![0.5; (4 * side / 8 * side / 8) as usize];
    let mut id = 0;
    let mut latency = || {
        id += 1;
        let request = Request {
            id,
            prompt: "a red apple on a table by the window",
            negative_prompt: "",
            seed: id,
            steps: 20,
            guidance_scale: 5.0,
            width: side,
            height: side,
            latent_shape: [4, side / 8, side / 8],
            latents: &latents,
        };
        Duration::from_nanos(black_box(engine.generate(&request).expect("a picture")).latency_ns)
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
