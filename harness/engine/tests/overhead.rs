//! What the protocol itself costs, and how true the clock is.
//!
//! Other programs only ever add time, so bounds are asked of the best of several requests; the
//! medians are printed (`--nocapture`).

mod common;

use std::time::{Duration, Instant};

use common::unsandboxed;
use edgemaxx_contract::contest::Timeouts;
use edgemaxx_engine::{
    Answer, Engine as _, Limits, Picture, Pins, ProcessEngine, ProcessSpec, Request, serve,
};
use edgemaxx_protocol::{Dtype, Generate, Hello, Load, Ready, Settings};

/// Requests of each size.
const REQUESTS: u64 = 21;
/// The prompt that takes a second.
const ONE_SECOND: &str = "one second";

/// Not a test of its own: the engine that the others start, which is this program again.
#[test]
fn a_null_engine() {
    if std::env::var_os("EDGEMAXX_SOCKET").is_none() {
        return;
    }
    let hello = Hello { engine: "null".to_owned(), version: "1".to_owned() };
    serve(&hello, |load: &Load| {
        let (width, height) = (load.settings.width, load.settings.height);
        // Made beforehand: what is asked for is the protocol's time, not that of a copy.
        let picture = move || Picture { width, height, rgb: vec![127; (width * height * 3) as usize] };
        let mut pictures: Vec<Picture> = (0..REQUESTS).map(|_| picture()).collect();
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        Ok((ready, move |request: &Generate| {
            if request.prompt == ONE_SECOND {
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(pictures.pop().unwrap_or_else(picture))
        }))
    })
    .expect("served");
}

/// Answers to `count` requests for pictures of `side` × `side`, by latency.
fn answers(side: u32, prompt: &str, count: u64) -> Vec<Answer> {
    let program = std::env::current_exe().expect("this program");
    let spec = ProcessSpec {
        command: vec![program.into(), "--exact".into(), "a_null_engine".into()],
        folder: None,
        read_only: Vec::new(),
        needs: Vec::new(),
        pins: Pins { threads: 1, gpu: None },
        limits: Limits::default(),
        timeouts: Timeouts { load_s: 10.0, request_s: 10.0, exit_s: 5.0 },
        sandbox: unsandboxed(),
    };
    let (mut engine, _, _) = ProcessEngine::launch(&spec).expect("launched");
    let settings = Settings {
        steps: 1,
        guidance_scale: 1.0,
        scheduler: None,
        dtype: Dtype::F32,
        threads: 1,
        width: side,
        height: side,
    };
    engine.load(&Load { checkpoint: "/".to_owned(), unet: None, settings }).expect("loaded");
    let latents = vec![0.5; (4 * side / 8 * side / 8) as usize];
    let mut answers: Vec<Answer> = (0..count)
        .map(|id| {
            let request = Request {
                id,
                prompt,
                negative_prompt: "",
                seed: id,
                steps: 20,
                guidance_scale: 5.0,
                width: side,
                height: side,
                latent_shape: [4, side / 8, side / 8],
                latents: &latents,
            };
            engine.generate(&request).expect("a picture")
        })
        .collect();
    answers.sort_by_key(|answer| answer.latency_ns);
    answers
}

#[test]
#[allow(clippy::print_stderr)]
fn the_protocol_costs_little() {
    for (side, most_us) in [(64, 200), (1024, 200 + 1500)] {
        let answers = answers(side, "a red apple on a table by the window", REQUESTS);
        let [best, median] = [0, answers.len() / 2].map(|at| answers[at].latency_ns / 1000);
        eprintln!("null engine, {side}×{side}: {best} µs at best, {median} µs median");
        assert!(best <= most_us, "{side}: {best} µs; at most {most_us} are allowed");
    }
}

#[test]
#[allow(clippy::print_stderr)]
fn a_second_is_a_second() {
    let since = Instant::now();
    let off = |answer: &Answer| answer.latency_ns - answer.engine_ns.expect("told").min(answer.latency_ns);
    let best = answers(512, ONE_SECOND, 3).iter().map(off).min().expect("three answers");
    eprintln!("a generation of 1 s was measured {} µs too long", best / 1000);
    assert!(best <= 1_000_000, "{best} ns beyond what the engine says: more than 0.1%");
    assert!(since.elapsed() >= Duration::from_secs(3));
}
