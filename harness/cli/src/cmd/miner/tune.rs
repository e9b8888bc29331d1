//! `edgemaxx miner tune`: which settings are worth submitting.

use std::path::{Path, PathBuf};

use edgemaxx_contract::estimate::{CandidateEstimates, Estimate};
use edgemaxx_contract::plan::Role;
use serde::Serialize;
use toml::{Table, Value};

use super::bench::bench;
use crate::error::{Failure, InFile as _};
use crate::terminal::{answer, answer_json, note};

/// Measures every combination of the settings against the contest's baseline, all in one run, and shows the Pareto
/// front: the settings that no other beats in proven speed and proven likeness at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner tune contest.toml --steps 6,8,10,12 --guidance 1,5
  edgemaxx miner tune contest.toml --from models/mine --steps 8,10 --dtype f32,bf16 --quick --out runs/tuning
  edgemaxx miner tune contest.toml --steps 8 --scheduler EulerDiscreteScheduler,DDIMScheduler --json")]
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
    /// Fewer sessions and pairs: wider intervals.
    #[arg(long)]
    quick: bool,
    /// Folder for the run.
    #[arg(long, value_name = "DIR", default_value = "runs/tune")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// More would take days, and no contest file is that long.
const MOST: usize = 64;

/// One combination and what is known of it.
#[derive(Debug, Clone, Serialize)]
struct Point {
    name: String,
    speedup: Option<Estimate>,
    similarity: Option<Estimate>,
    gates_passed: bool,
    /// No other is proven at least as good in both and better in one.
    front: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let candidates = self.grid()?;
        note(&format!("tune: {} combinations in one run", candidates.len()));
        let estimates = bench(&self.contest, candidates, self.quick, &self.out)?.estimates;
        let mut points: Vec<Point> =
            estimates.candidates.iter().filter(|c| c.role == Role::Candidate).map(point).collect();
        mark_front(&mut points);
        points.sort_by(|a, b| lower(&b.speedup).total_cmp(&lower(&a.speedup)).then(a.name.cmp(&b.name)));
        if self.json { answer_json(&points) } else { answer(&table(&points, &self.out)) }
    }

    /// Every combination, as candidates.
    fn grid(&self) -> anyhow::Result<Vec<Table>> {
        let settings: [(&str, &str, Vec<Value>); 4] = [
            ("steps", "steps", self.steps.iter().map(|n| i64::from(*n).into()).collect()),
            ("guidance_scale", "guidance", self.guidance.iter().map(|g| (*g).into()).collect()),
            ("scheduler", "scheduler", self.scheduler.iter().map(|s| s.as_str().into()).collect()),
            ("dtype", "dtype", self.dtype.iter().map(|d| d.as_str().into()).collect()),
        ];
        let mut grid = vec![(Vec::new(), Table::new())];
        for (key, flag, values) in &settings {
            if values.is_empty() {
                continue;
            }
            let next = grid.iter().flat_map(|(name, table)| {
                values.iter().map(move |value| {
                    let (mut name, mut table) = (name.clone(), table.clone());
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    name.push(format!("{flag}-{}", text.trim_end_matches("Scheduler")));
                    table.insert((*key).to_owned(), value.clone());
                    (name, table)
                })
            });
            grid = next.collect();
        }
        if grid.len() > MOST {
            return Err(Failure::input(format!(
                "{} combinations, at most {MOST} fit one run; name fewer values",
                grid.len()
            )));
        }
        if grid[0].1.is_empty() && self.from.is_none() {
            return Err(Failure::input(
                "nothing to try: name values with --steps, --guidance, --scheduler or --dtype",
            ));
        }
        let from = self.from.as_deref().map(|f| f.canonicalize().in_file(f)).transpose()?;
        let candidate = |(name, generation): (Vec<String>, Table)| {
            let mut table = Table::new();
            let name = if name.is_empty() { "as-it-is".to_owned() } else { name.join("_") };
            table.insert("name".into(), name.into());
            if let Some(from) = &from {
                table.insert("checkpoint".into(), from.display().to_string().into());
            }
            table.insert("generation".into(), generation.into());
            table
        };
        Ok(grid.into_iter().map(candidate).collect())
    }
}

fn point(c: &CandidateEstimates) -> Point {
    Point {
        name: c.name.clone(),
        speedup: c.speedup_simultaneous.clone().or_else(|| c.speedup.clone()),
        similarity: c.similarity.clone(),
        gates_passed: !c.gates.is_empty() && c.gates.iter().all(|g| g.passed),
        front: false,
    }
}

/// The proven part of an estimate; nothing proven counts as the worst.
fn lower(estimate: &Option<Estimate>) -> f64 {
    estimate.as_ref().and_then(|e| e.lower).unwrap_or(f64::NEG_INFINITY)
}

/// A point is on the front unless another's bounds are at least as high in both, and higher in one.
fn mark_front(points: &mut [Point]) {
    let bounds: Vec<(f64, f64)> = points.iter().map(|p| (lower(&p.speedup), lower(&p.similarity))).collect();
    for (point, own) in points.iter_mut().zip(&bounds) {
        let beaten = bounds.iter().any(|b| b.0 >= own.0 && b.1 >= own.1 && (b.0 > own.0 || b.1 > own.1));
        point.front = !beaten && own.0.is_finite();
    }
}

fn table(points: &[Point], out: &Path) -> String {
    let shown = |estimate: &Option<Estimate>, digits: usize| {
        estimate.as_ref().map_or("—".to_owned(), |e| {
            let bound = |b: Option<f64>| b.map_or("—".to_owned(), |b| format!("{b:.digits$}"));
            format!("{:.digits$} [{}, {}]", e.point, bound(e.lower), bound(e.upper))
        })
    };
    let width = points.iter().map(|p| p.name.chars().count()).max().unwrap_or(0).max(8);
    let mut lines =
        vec![format!("front  {:<width$}  {:<24}  {:<24}  gates", "settings", "speedup", "similarity")];
    for p in points {
        let mark = if p.front { "  *  " } else { "     " };
        let gates = if p.gates_passed { "passed" } else { "missed" };
        lines.push(format!(
            "{mark}  {:<width$}  {:<24}  {:<24}  {gates}",
            p.name,
            shown(&p.speedup, 3),
            shown(&p.similarity, 4)
        ));
    }
    lines.push(format!("\nreport: {}", out.join("report.html").display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, speed: f64, likeness: Option<f64>) -> Point {
        let estimate = |lower: Option<f64>| {
            Some(Estimate { point: 1.0, lower, upper: None, method: String::new(), n: 3, level: 0.95 })
        };
        Point {
            name: name.into(),
            speedup: estimate(Some(speed)),
            similarity: estimate(likeness),
            gates_passed: true,
            front: false,
        }
    }

    #[test]
    fn the_front_is_what_nothing_beats_in_both() {
        let mut points = [
            at("fast", 4.0, Some(0.7)),
            at("fair", 2.0, Some(0.9)),
            at("beaten", 1.9, Some(0.9)),
            at("equal", 2.0, Some(0.9)),
            at("unproven", 4.0, None),
        ];
        points[4].speedup = None;
        mark_front(&mut points);
        let front: Vec<_> = points.iter().filter(|p| p.front).map(|p| p.name.as_str()).collect();
        assert_eq!(front, ["fast", "fair", "equal"]);
    }
}
