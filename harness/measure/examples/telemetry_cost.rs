//! What telemetry costs: the same work with and without it, in turn.
//!
//! `cargo run --release -p edgemaxx-measure --example telemetry_cost [PAIRS] [THREADS]`
//!
//! Each pair is one second of fixed work on THREADS threads with the recorder running and one
//! without, the order changing from pair to pair. Printed are the mean ratio of their times with its
//! standard error, and the part of one processor that the recorder itself says it took: on a busy
//! machine the former is all noise, the latter is not.

use std::hint::black_box;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_engine::{Clock as _, MonotonicClock};
use edgemaxx_measure::telemetry::{
    HostSource, NvmlSource, Recorder, Settings, Source, TELEMETRY_FILE, Telemetry as _, TreeSource, Watched,
};

/// Sums of squares, so many million steps on every thread.
fn work(threads: usize, millions: u64) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                let mut x = 0.5f64;
                for _ in 0..millions * 1_000_000 {
                    x = black_box(x * x - 0.25);
                }
                black_box(x);
            });
        }
    });
}

fn seconds(threads: usize, millions: u64) -> f64 {
    let began = Instant::now();
    work(threads, millions);
    began.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |index: usize, usual| std::env::args().nth(index).map_or(Ok(usual), |word| word.parse());
    let (pairs, threads): (usize, usize) = (argument(1, 30)?, argument(2, 1)?);
    // As much work as takes about a second.
    let millions = (20.0 / seconds(threads, 20)).clamp(1.0, 10_000.0) as u64;
    let folder = tempfile::tempdir()?;
    let plan = Digest::of("telemetry_cost");
    let mut child = Command::new("sleep").arg("3600").spawn()?;
    let watched = Watched { session: 0, launch: 0, side: Side::Baseline, root: std::process::id() };
    let with = || -> Result<f64, Box<dyn std::error::Error>> {
        let mut sources: Vec<Box<dyn Source>> =
            vec![Box::new(HostSource::new()), Box::new(TreeSource::default())];
        let mut period = Duration::from_secs(1);
        if let Ok(gpu) = NvmlSource::open(0) {
            sources.insert(0, Box::new(gpu));
            period = Duration::from_millis(250);
        }
        let cpus = std::thread::available_parallelism()?.get();
        let settings = Settings { period, spare_processor: cpus > threads };
        let clock = MonotonicClock::start();
        let mut recorder = Recorder::open(folder.path(), plan, clock, settings, sources)?;
        recorder.begin(1, clock.now_ns())?;
        recorder.watch(&[watched]);
        let seconds = seconds(threads, millions);
        recorder.finish()?;
        Ok(seconds)
    };
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let (watched, alone) = if pair % 2 == 0 {
            let watched = with()?;
            (watched, seconds(threads, millions))
        } else {
            let alone = seconds(threads, millions);
            (with()?, alone)
        };
        ratios.push((watched / alone).ln());
    }
    child.kill()?;
    child.wait()?;
    let n = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / n;
    let error = (ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt();
    let text = std::fs::read_to_string(folder.path().join(TELEMETRY_FILE))?;
    let ends: Vec<_> = TelemetryLog::parse(&text, plan)?.executions.iter().filter_map(|e| e.end).collect();
    let (cpu, time, readings) =
        ends.iter().fold((0, 0, 0), |sum, end| (sum.0 + end.cpu_ns, sum.1 + end.at_ns, sum.2 + end.readings));
    writeln!(
        std::io::stdout(),
        "time with telemetry over time without: {:+.3}% ± {:.3}% (standard error, {pairs} pairs)\n\
         {readings} readings took {:.3} ms of a processor each, {:.3}% of one",
        100.0 * mean,
        100.0 * error,
        cpu as f64 / 1e6 / readings.max(1) as f64,
        100.0 * cpu as f64 / time.max(1) as f64
    )?;
    Ok(())
}
