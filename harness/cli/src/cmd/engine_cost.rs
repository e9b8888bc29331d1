//! `edgemaxx engine cost`: what the harness itself adds to what it times.

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_devices::Pins;
use edgemaxx_engine::{Cost, Limits, ProcessSpec, SandboxStatus, Times, cost, detect_sandbox};
use edgemaxx_run::prepare::command;
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::terminal::{answer_json, answer_lines};

/// Measures what an answer, and a part of a stream, cost the harness on this machine.
///
/// The null engine answers at once, confined as engines are: what is timed is the harness, the
/// socket and the system. Nothing is subtracted from what is measured later; this is what a small
/// difference is to be compared with.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx engine cost --json | jq .part.p99_ns

Exit code: 0 measured · 4 the engine could not be started, or failed")]
pub(crate) struct Args {
    /// Requests without parts.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    answers: u64,
    /// Answers in parts.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    streams: u64,
    /// Parts of each of these.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    parts: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    sandbox: String,
    #[serde(flatten)]
    cost: Cost,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let sandbox = detect_sandbox();
        let cost = cost(&process(&sandbox), self.answers, self.streams, self.parts)
            .map_err(|failure| Failure::error(Exit::Engine, format!("the null engine {failure}")))?;
        if self.json {
            return answer_json(&Answer { sandbox: sandbox.to_string(), cost });
        }
        answer_lines(&[
            line("an answer", cost.answer, "requests answered at once with 64 bytes"),
            line("a part", cost.part, "times between parts sent as fast as they can be"),
            format!("{:10} {:8.1} µs of the harness's processor, on average", "", us(cost.part_cpu_ns)),
        ])
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

fn line(what: &str, times: Times, of: &str) -> String {
    format!(
        "{what:10} p50 {:8.1} µs   p99 {:8.1} µs   ({} {of})",
        us(times.p50_ns),
        us(times.p99_ns),
        times.count
    )
}

/// The null engine: this program.
fn process(sandbox: &SandboxStatus) -> ProcessSpec {
    let (command, read_only) = command(&["edgemaxx", "engine", "null"].map(str::to_owned), &[], true);
    ProcessSpec {
        command,
        folder: None,
        read_only,
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(1),
        limits: Limits::default(),
        timeouts: Timeouts { load_s: 60.0, request_s: 60.0, exit_s: 10.0 },
        sandbox: sandbox.clone(),
    }
}
