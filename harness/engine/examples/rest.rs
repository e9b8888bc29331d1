//! What bringing engines to rest costs, and whether it moves latencies.
//!
//! usage: rest EDGEMAXX CHECKPOINT [PAIRS] [THREADS]
//!
//! Two built-in engines are loaded. Each pair of requests goes to one of them, once while the other one rests and once while it
//! is merely not asked, in random order; both sides take turns. Prints the mean of ln(latency frozen / unfrozen) with its 95%
//! interval, and the times of rest and wake.

use std::path::PathBuf;
use std::time::Instant;

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::sample::Failure;
use edgemaxx_contract::task::{RequestSpec, Settings, picture};
use edgemaxx_devices::Pins;
use edgemaxx_engine::task::picture::PICTURE;
use edgemaxx_engine::{
    Ask, Codec as _, Engine as _, Limits, Load, Object, ProcessEngine, ProcessSpec, Question, detect_sandbox,
};

/// Side of a picture, pixels.
const SIDE: u32 = 64;

struct Loaded {
    engine: ProcessEngine,
    ready: Object,
    next: u64,
}

fn request() -> RequestSpec {
    let (prompts, negative_prompt) = Default::default();
    picture::Request { prompts, negative_prompt, width: SIDE, height: SIDE }.checked().expect("a request")
}

fn settings() -> Settings {
    let (steps, guidance_scale, dtype) = (20, 5.0, Dtype::F32);
    let settings = picture::Settings { steps, guidance_scale, scheduler: None, dtype, vae_tiling: false };
    settings.checked().expect("settings")
}

fn start(program: &str, checkpoint: &str, threads: u32) -> Result<Loaded, Failure> {
    let words = [program, "engine", "candle", "--device", "cpu"];
    let spec = ProcessSpec {
        command: words.map(Into::into).into(),
        folder: None,
        read_only: [program, checkpoint].map(PathBuf::from).into(),
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(threads),
        limits: Limits::default(),
        timeouts: Timeouts { load_s: 120.0, request_s: 120.0, exit_s: 2.0 },
        sandbox: detect_sandbox(),
    };
    let (mut engine, _, _) = ProcessEngine::launch(&spec)?;
    let loaded = engine.load(&Load {
        checkpoint: checkpoint.to_owned(),
        replaced: Default::default(),
        threads,
        task: PICTURE.task().to_owned(),
        settings: PICTURE.settings(&request(), &settings()).expect("settings"),
    })?;
    let ready = PICTURE.ready(&request(), &loaded.ready).expect("ready");
    Ok(Loaded { engine, ready, next: 1 })
}

impl Loaded {
    /// Latency, nanoseconds.
    fn ask(&mut self, seed: u64) -> Result<u64, Failure> {
        let (request, settings) = (request(), settings());
        let ask = picture::Ask { prompt: "a red apple".to_owned() };
        let planned = PlannedRequest { id: 0, seed, ask: ask.checked().expect("an ask") };
        let question = Question { request: &request, settings: &settings, planned: &planned };
        let payload = PICTURE.payload(&request, &planned, &self.ready).expect("noise");
        let header = PICTURE.header(question, &self.ready).expect("a request");
        let limits = PICTURE.limits(&request);
        self.next += 1;
        let answer = self.engine.ask(&Ask { id: self.next, header, payload: &payload, limits })?;
        Ok(answer.latency_ns)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, program, checkpoint, rest @ ..] = &words[..] else {
        return Err("usage: rest EDGEMAXX CHECKPOINT".into());
    };
    let number = |at: usize, usual: u64| rest.get(at).and_then(|word| word.parse().ok()).unwrap_or(usual);
    let (pairs, threads) = (number(0, 100), u32::try_from(number(1, 1))?);
    let absolute = |path: &String| std::fs::canonicalize(path).map(|path| path.display().to_string());
    let (program, checkpoint) = (absolute(program)?, absolute(checkpoint)?);
    let fail = |failure: Failure| failure.to_string();
    let mut both = [
        start(&program, &checkpoint, threads).map_err(fail)?,
        start(&program, &checkpoint, threads).map_err(fail)?,
    ];
    for engine in &mut both {
        for seed in 0..3 {
            engine.ask(seed).map_err(fail)?;
        }
    }
    let (mut ratios, mut rests, mut wakes) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let (one, other) = ((pair % 2) as usize, ((pair + 1) % 2) as usize);
        // A fair coin that is the same each time: the bits of a multiplied counter.
        let frozen_first = (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) == 1;
        let mut latencies = [0u64; 2];
        for frozen in [frozen_first, !frozen_first] {
            if frozen {
                // As in a run: the one that is asked has just been woken.
                for engine in [one, other] {
                    let began = Instant::now();
                    both[engine].engine.rest().map_err(fail)?;
                    rests.push(began.elapsed());
                }
                let began = Instant::now();
                both[one].engine.wake().map_err(fail)?;
                wakes.push(began.elapsed());
            }
            latencies[usize::from(frozen)] = both[one].ask(100 + pair).map_err(fail)?;
            if frozen {
                both[other].engine.wake().map_err(fail)?;
            }
        }
        ratios.push((latencies[1] as f64 / latencies[0] as f64).ln());
    }
    let n = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / n;
    let deviation = (ratios.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = 1.96 * deviation / n.sqrt();
    ratios.sort_by(f64::total_cmp);
    rests.sort();
    wakes.sort();
    let line = format!(
        "{pairs} pairs, {threads} threads: frozen over unfrozen {:+.3}% ± {:.3}% (95%), median {:+.3}%; rest p50 {:?} p99 {:?}, wake p50 {:?} p99 {:?}",
        100.0 * mean,
        100.0 * half,
        100.0 * ratios[ratios.len() / 2],
        rests[rests.len() / 2],
        rests[rests.len() * 99 / 100],
        wakes[wakes.len() / 2],
        wakes[wakes.len() * 99 / 100],
    );
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
