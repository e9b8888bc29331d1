//! What telemetry costs: the same work with and without it, in turn.
//!
//! `cargo run --release -p edgemaxx-measure --example telemetry_cost [PAIRS] [THREADS] [READINGS] [PROGRAM …]`
//!
//! Each pair is one second of fixed work on THREADS threads with the recorder running and one
//! without, the order changing from pair to pair. A PROGRAM does the work instead where one is given: a unit of
//! about a second for every line that it reads, answered with a line that says how many milliseconds it took
//! (`gpu serve` of edgemaxx-candle is one, for the card). Printed are the mean ratio of their times with its
//! standard error, the median ratio, and the part of one processor that the recorder itself says it took.
//!
//! No machine is so quiet that one reading a second shows. With READINGS times as many as usual, their cost is so
//! many times as large, and is printed divided by it.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_devices::{VENDORS, Watched, sources};
use edgemaxx_engine::{Clock as _, MonotonicClock};
use edgemaxx_measure::telemetry::{Recorder, Settings, TELEMETRY_FILE, Telemetry as _};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Between the recorder's start or end and the work: a run starts it once, so that is no part of a latency.
const SETTLED: Duration = Duration::from_millis(300);

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

/// Who does the work whose time is taken.
enum Worker {
    /// Threads of this process, and so many million steps on each.
    Threads { threads: usize, millions: u64 },
    /// A program.
    Program { child: Child, ask: ChildStdin, answers: BufReader<ChildStdout> },
}

impl Worker {
    fn of(threads: usize, program: &[String]) -> Result<Self> {
        let Some((name, arguments)) = program.split_first() else {
            let began = Instant::now();
            work(threads, 20);
            // As much work as takes about a second.
            let millions = (20.0 / began.elapsed().as_secs_f64()).clamp(1.0, 10_000.0) as u64;
            return Ok(Self::Threads { threads, millions });
        };
        let mut child =
            Command::new(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the program has no pipes".into());
        };
        let mut worker = Self::Program { child, ask, answers: BufReader::new(answers) };
        // The first unit warms up.
        worker.seconds()?;
        Ok(worker)
    }

    /// Root of the process tree to watch.
    fn root(&self) -> u32 {
        match self {
            Self::Threads { .. } => std::process::id(),
            Self::Program { child, .. } => child.id(),
        }
    }

    /// Seconds that one unit takes, after a pause.
    fn seconds(&mut self) -> Result<f64> {
        std::thread::sleep(SETTLED);
        match self {
            Self::Threads { threads, millions } => {
                let began = Instant::now();
                work(*threads, *millions);
                Ok(began.elapsed().as_secs_f64())
            }
            Self::Program { ask, answers, .. } => {
                writeln!(ask)?;
                let mut line = String::new();
                answers.read_line(&mut line)?;
                Ok(line.trim().parse::<f64>()? / 1e3)
            }
        }
    }
}

fn main() -> Result<()> {
    let argument = |index: usize, usual| std::env::args().nth(index).map_or(Ok(usual), |word| word.parse());
    let (pairs, threads): (usize, usize) = (argument(1, 30)?, argument(2, 1)?);
    let times: u32 = argument(3, 1)?.try_into()?;
    let program: Vec<String> = std::env::args().skip(4).collect();
    let mut worker = Worker::of(threads, &program)?;
    let folder = tempfile::tempdir()?;
    let plan = Digest::of("telemetry_cost");
    // On a machine with several, the first card: hide the others for another one.
    let card = VENDORS.iter().flat_map(|vendor| vendor.cards().unwrap_or_default()).next();
    let watched = Watched { session: 0, launch: 0, side: Side::Baseline, root: worker.root() };
    let with = |worker: &mut Worker| -> Result<f64> {
        let sources = sources(card.as_ref());
        let cpus = std::thread::available_parallelism()?.get();
        let period = sources.period / times.max(1);
        let settings = Settings { period, spare_processor: cpus > threads };
        let clock = MonotonicClock::start();
        let mut recorder = Recorder::open(folder.path(), plan, clock, settings, sources.list)?;
        recorder.begin(1, clock.now_ns())?;
        recorder.watch(&[watched]);
        let seconds = worker.seconds()?;
        recorder.finish()?;
        Ok(seconds)
    };
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let (watched, alone) = if pair % 2 == 0 {
            let watched = with(&mut worker)?;
            (watched, worker.seconds()?)
        } else {
            let alone = worker.seconds()?;
            (with(&mut worker)?, alone)
        };
        ratios.push((watched / alone).ln());
    }
    if let Worker::Program { mut child, ask, .. } = worker {
        drop(ask);
        child.wait()?;
    }
    let n = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / n;
    let error = (ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt();
    let mut sorted = ratios.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let text = std::fs::read_to_string(folder.path().join(TELEMETRY_FILE))?;
    let ends: Vec<_> = TelemetryLog::parse(&text, plan)?.executions.iter().filter_map(|e| e.end).collect();
    let (cpu, time, readings) =
        ends.iter().fold((0, 0, 0), |sum, end| (sum.0 + end.cpu_ns, sum.1 + end.at_ns, sum.2 + end.readings));
    writeln!(
        std::io::stdout(),
        "time with telemetry over time without: {:+.3}% ± {:.3}% (standard error, {pairs} pairs; median {:+.3}%)\n\
         of {times} times as many readings as usual; so at the usual rate {:+.4}% ± {:.4}%\n\
         {readings} readings took {:.3} ms of a processor each, {:.3}% of one",
        100.0 * mean,
        100.0 * error,
        100.0 * median,
        100.0 * mean / f64::from(times),
        100.0 * error / f64::from(times),
        cpu as f64 / 1e6 / readings.max(1) as f64,
        100.0 * cpu as f64 / time.max(1) as f64
    )?;
    Ok(())
}
