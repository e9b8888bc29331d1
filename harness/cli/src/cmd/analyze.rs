//! `edgemaxx analyze`: a run's samples, or anybody's latency measurements.

use std::path::{Path, PathBuf};

use edgemaxx_analyze::{AnalyzeReport, Method, Settings, sources};
use edgemaxx_contract::confidence::DEFAULT_LEVEL;
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::shown_text::decimals;
use edgemaxx_run::RunFolder;
use edgemaxx_run::stage::analyze::analyze_run;

use crate::error::Failure;
use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines, note};

/// Turns a run's samples into estimates (writes estimates.json), or analyses a file of latencies.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx analyze runs/emoji-cpu-2026-11-22
  edgemaxx analyze --samples latencies.csv --baseline old --json
  edgemaxx analyze --samples hyperfine.json

A CSV has the header session,request,pipeline,latency_ms with an optional fifth column throttled;
request may be called prompt.")]
pub(crate) struct Args {
    /// Run folder.
    #[arg(required_unless_present = "samples", conflicts_with_all = ["samples", "baseline", "method", "level"])]
    run: Option<PathBuf>,
    /// Latencies: CSV, our samples.jsonl, or hyperfine's JSON export.
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Pipeline that all others are compared with [default: `baseline`, else the first].
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Confidence level of the intervals, and of all claims together.
    #[arg(long, default_value_t = DEFAULT_LEVEL)]
    level: f64,
    /// Method of the speed intervals [default: Student's t on session means].
    #[arg(long)]
    method: Option<Method>,
    /// Print the estimates as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if let Some(samples) = &self.samples {
            return self.foreign(samples);
        }
        let run =
            self.run.as_deref().ok_or_else(|| Failure::input("name a run folder, or --samples FILE"))?;
        let estimates = analyze_run(&RunFolder::open(run)?)?;
        if self.json { answer_json(&estimates) } else { answer_lines(&run_table(&estimates)) }
    }

    fn foreign(&self, samples: &Path) -> anyhow::Result<()> {
        let table = sources::read(samples, self.baseline.as_deref())
            .map_err(|error| Failure::input(error.to_string()))?;
        let settings = Settings { level: self.level, method: self.method, ..Settings::default() };
        let report =
            AnalyzeReport::of(&table, &settings).map_err(|error| Failure::input(format!("--{error}")))?;
        if self.json {
            return answer_json(&report);
        }
        for warning in &report.warnings {
            note(&format!("warning: {warning}"));
        }
        answer_lines(&foreign_table(&report))
    }
}

fn interval(point: f64, lower: Option<f64>, upper: Option<f64>) -> String {
    let bound = |bound: Option<f64>| bound.map_or("—".to_owned(), |bound| decimals(bound, 4));
    format!("{}× [{}, {}]", decimals(point, 4), bound(lower), bound(upper))
}

fn run_table(estimates: &Estimates) -> Vec<String> {
    let mut table = Table::new([Align::Left; 3]);
    for candidate in &estimates.candidates {
        let speedup = match candidate.claimed_speedup() {
            Some(speedup) => interval(speedup.point, speedup.lower, speedup.upper),
            None => "—".to_owned(),
        };
        table.row([candidate.name.clone(), speedup, format!("{:?}", candidate.claim)]);
    }
    let heading = "speedup, with the interval for all candidates at once";
    [vec![format!("A/A: {}", estimates.certificate.reason), heading.to_owned()], table.lines()].concat()
}

fn foreign_table(report: &AnalyzeReport) -> Vec<String> {
    let heading = format!(
        "speedup over {}, intervals and claims of all candidates together at {}% confidence",
        report.baseline,
        report.level * 100.0
    );
    let mut table = Table::new([Align::Left; 6]);
    for candidate in &report.candidates {
        let speedup = &candidate.speedup;
        let p = candidate.p_adjusted.map_or("—".to_owned(), |p| format!("{p:.4}"));
        table.row([
            candidate.pipeline.clone(),
            interval(speedup.point, speedup.lower, speedup.upper),
            candidate.claim.to_string(),
            format!("p {p}"),
            format!("rank {}–{}", candidate.rank.lower, candidate.rank.upper),
            format!("{} sessions, {}, {}", candidate.sessions, candidate.counted, speedup.method),
        ]);
    }
    [vec![heading], table.lines()].concat()
}
