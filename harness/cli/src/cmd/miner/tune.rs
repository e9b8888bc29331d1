//! `edgemaxx miner tune`: which settings are worth submitting.

use std::path::{Path, PathBuf};

use edgemaxx_contract::estimate::Estimate;
use edgemaxx_run::miner::{Axis, Point, Search, grid, tune};
use toml::Value;

use crate::error::{Failure, InFile as _};
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines};

/// Measures combinations of settings against the contest's baseline, and shows the Pareto front: the settings that no
/// other beats in proven speed and proven likeness at once.
///
/// Without --rounds, every combination is measured, all in one run. With it, each round measures a few: a Gaussian
/// process over the scores so far chooses where most is to be hoped for, so a large grid needs a fraction of the time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner tune contest.toml --steps 6,8,10,12 --guidance 1,5
  edgemaxx miner tune contest.toml --from models/mine --steps 8,10 --dtype f32,bf16 --quick --out runs/tuning
  edgemaxx miner tune contest.toml --steps 4,5,6,8,10,12,16 --guidance 1,2,3,5,7 --rounds 4
  edgemaxx miner tune contest.toml --steps 8 --scheduler EulerDiscreteScheduler,DDIMScheduler --json
  edgemaxx miner tune fixtures/contests/stories-cpu.toml --set weights=f16,q8_0 --set lookup=0,4,8 --quick")]
pub(crate) struct Args {
    /// Contest file; its own candidates are left out.
    #[arg(value_name = "CONTEST.toml")]
    contest: PathBuf,
    /// Checkpoint [default: the baseline's].
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Denoising steps to try.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    steps: Vec<u16>,
    /// Guidance scales to try.
    #[arg(long, value_name = "G,…", value_delimiter = ',')]
    guidance: Vec<f64>,
    /// Schedulers to try.
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',')]
    scheduler: Vec<String>,
    /// Number formats to compute in.
    #[arg(long, value_name = "FORMAT,…", value_delimiter = ',')]
    dtype: Vec<String>,
    /// Any setting of `generation` and the values to try, e.g. weights=f16,q8_0; may be given several times.
    #[arg(long, value_name = "KEY=VALUE,…", value_parser = setting)]
    set: Vec<(String, Vec<Value>)>,
    /// Search instead of measuring everything: so many rounds, each a run of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: Option<u32>,
    /// With --rounds: combinations in each.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "rounds", value_parser = clap::value_parser!(u32).range(1..=16))]
    per_round: u32,
    /// Fewer sessions and pairs: wider intervals.
    #[arg(long)]
    quick: bool,
    /// Folder for the run; with --rounds, for the runs round-1, round-2, ….
    #[arg(long, value_name = "DIR", default_value = "runs/tune")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let axes = self.axes();
        let grid = grid(&axes)?;
        if axes.iter().all(|(_, _, values)| values.is_empty()) && self.from.is_none() {
            return Err(Failure::input(
                "nothing to try: name values with --steps, --guidance, --scheduler, --dtype or --set",
            ));
        }
        let from = self.from.as_deref().map(|f| f.canonicalize().in_file(f)).transpose()?;
        let search = self.rounds.map(|rounds| Search { rounds, per_round: self.per_round });
        let points = tune(&self.contest, from.as_deref(), &grid, search, self.quick, &self.out, &Terminal)?;
        if self.json { answer_json(&points) } else { answer_lines(&table(&points, &self.out)) }
    }

    /// What is to be tried, numbers from the smallest to the largest.
    fn axes(&self) -> Vec<Axis> {
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect::<Vec<Value>>();
        let (mut steps, mut guidance) = (self.steps.clone(), self.guidance.clone());
        steps.sort_unstable();
        guidance.sort_by(f64::total_cmp);
        let axis = |key: &str, called: &str, values| (key.to_owned(), called.to_owned(), values);
        let mut axes = vec![
            axis("steps", "steps", steps.iter().map(|n| i64::from(*n).into()).collect()),
            axis("guidance_scale", "guidance", guidance.iter().map(|g| (*g).into()).collect()),
            axis("scheduler", "scheduler", texts(&self.scheduler)),
            axis("dtype", "dtype", texts(&self.dtype)),
        ];
        axes.extend(self.set.iter().map(|(key, values)| axis(key, key, values.clone())));
        axes
    }
}

/// `KEY=VALUE,…`: values as TOML has them, or else texts.
fn setting(text: &str) -> Result<(String, Vec<Value>), String> {
    let parts = text.split_once('=').filter(|(key, values)| !key.is_empty() && !values.is_empty());
    let (key, values) = parts.ok_or("expected KEY=VALUE,…, such as weights=f16,q8_0")?;
    let value = |word: &str| {
        let toml: Option<toml::Table> = format!("value = {word}").parse().ok();
        toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| word.into())
    };
    Ok((key.to_owned(), values.split(',').map(value).collect()))
}

fn table(points: &[Point], out: &Path) -> Vec<String> {
    let shown = |estimate: &Option<Estimate>, digits: usize| {
        estimate.as_ref().map_or("—".to_owned(), |e| {
            let bound = |b: Option<f64>| b.map_or("—".to_owned(), |b| format!("{b:.digits$}"));
            format!("{:.digits$} [{}, {}]", e.point, bound(e.lower), bound(e.upper))
        })
    };
    let mut table = Table::new([Align::Left; 5]);
    table.row(["front", "settings", "speedup", "similarity", "gates"]);
    for p in points {
        let mark = if p.front { "  *" } else { "" };
        let gates = match p.gates_passed {
            Some(true) => "passed",
            Some(false) => "missed",
            None => "none",
        };
        let (speedup, similarity) = (shown(&p.speedup, 3), shown(&p.similarity, 4));
        table.row([mark.to_owned(), p.name.clone(), speedup, similarity, gates.to_owned()]);
    }
    let mut lines = table.lines();
    lines.extend([String::new(), format!("runs and reports: {}", out.display())]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_setting_can_be_tried() {
        assert_eq!(setting("lookup=0,4"), Ok(("lookup".to_owned(), vec![0.into(), 4.into()])));
        assert_eq!(
            setting("weights=f16,q8_0"),
            Ok(("weights".to_owned(), vec!["f16".into(), "q8_0".into()]))
        );
        assert!(setting("lookup").is_err() && setting("=1").is_err() && setting("lookup=").is_err());
    }

    #[test]
    fn a_contest_without_gates_has_none_to_miss() {
        let points = [Some(true), Some(false), None].map(|gates_passed| Point {
            name: "a".to_owned(),
            speedup: None,
            similarity: None,
            gates_passed,
            score: 0.0,
            front: false,
        });
        let lines = table(&points, Path::new("out"));
        let last: Vec<&str> = lines[1..4].iter().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(last, ["passed", "missed", "none"], "{lines:?}");
    }
}
