//! `edgemaxx miner tune`: which settings are worth submitting.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::Entrant;
use edgemaxx_contract::estimate::{CandidateEstimates, Estimate};
use edgemaxx_contract::plan::Role;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_run::miner::{bench, choose};
use serde::Serialize;
use toml::Value;

use crate::error::{Failure, InFile as _};
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines, note};

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

/// More in one run would take days.
const MOST: usize = 64;
/// More to choose from is a mistyped list.
const MOST_IN_GRID: usize = 4096;

/// One combination of settings.
#[derive(Debug, Clone)]
struct Combination {
    name: String,
    generation: toml::Table,
    /// Where it lies in the unit cube, for the search.
    place: Vec<f64>,
}

/// One combination and what is known of it.
#[derive(Debug, Clone, Serialize)]
struct Point {
    name: String,
    speedup: Option<Estimate>,
    similarity: Option<Estimate>,
    /// Whether all of the contest's gates are proven; absent: it has none.
    gates_passed: Option<bool>,
    /// What the contest would pay for it; 0 for whatever is not accepted.
    score: f64,
    /// No other is proven at least as good in both and better in one.
    front: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let grid = self.grid()?;
        let from = self.from.as_deref().map(|f| f.canonicalize().in_file(f)).transpose()?;
        let measure = |chosen: &[usize], out: &Path| -> anyhow::Result<Vec<Point>> {
            let candidates: Vec<Entrant> =
                chosen.iter().map(|&i| grid[i].candidate(from.as_deref())).collect();
            let benched = bench(&self.contest, &candidates, self.quick, out, &Terminal)?;
            let scored = |c| point(c, &benched.ranking);
            Ok(benched
                .estimates
                .candidates
                .iter()
                .filter(|c| c.role == Role::Candidate)
                .map(scored)
                .collect())
        };
        let mut points = Vec::new();
        if let Some(rounds) = self.rounds {
            let places: Vec<Vec<f64>> = grid.iter().map(|c| c.place.clone()).collect();
            let mut known: Vec<(usize, f64)> = Vec::new();
            for round in 1..=rounds {
                let chosen = choose(&places, &known, self.per_round as usize);
                if chosen.is_empty() {
                    break;
                }
                let names: Vec<&str> = chosen.iter().map(|&i| grid[i].name.as_str()).collect();
                note(&format!("tune: round {round} of {rounds}: {}", names.join(", ")));
                let found = measure(&chosen, &self.out.join(format!("round-{round}")))?;
                for &i in &chosen {
                    let point = found.iter().find(|p| p.name == grid[i].name);
                    known.push((i, point.map_or(0.0, merit)));
                }
                points.extend(found);
            }
        } else {
            if grid.len() > MOST {
                return Err(Failure::input(format!(
                    "{} combinations, at most {MOST} fit one run; name fewer values, or search with --rounds",
                    grid.len()
                )));
            }
            note(&format!("tune: {} combinations in one run", grid.len()));
            points = measure(&(0..grid.len()).collect::<Vec<_>>(), &self.out)?;
        }
        mark_front(&mut points);
        points.sort_by(|a, b| lower(&b.speedup).total_cmp(&lower(&a.speedup)).then(a.name.cmp(&b.name)));
        if self.json { answer_json(&points) } else { answer_lines(&table(&points, &self.out)) }
    }

    /// Every combination.
    fn grid(&self) -> anyhow::Result<Vec<Combination>> {
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect::<Vec<Value>>();
        let (mut steps, mut guidance) = (self.steps.clone(), self.guidance.clone());
        steps.sort_unstable();
        guidance.sort_by(f64::total_cmp);
        let mut settings: Vec<(&str, &str, Vec<Value>)> = vec![
            ("steps", "steps", steps.iter().map(|n| i64::from(*n).into()).collect()),
            ("guidance_scale", "guidance", guidance.iter().map(|g| (*g).into()).collect()),
            ("scheduler", "scheduler", texts(&self.scheduler)),
            ("dtype", "dtype", texts(&self.dtype)),
        ];
        settings.extend(self.set.iter().map(|(key, values)| (key.as_str(), key.as_str(), values.clone())));
        let mut grid = vec![(Vec::<String>::new(), toml::Table::new(), Vec::<f64>::new())];
        for (key, flag, values) in settings.iter().filter(|(_, _, values)| !values.is_empty()) {
            if grid.len().saturating_mul(values.len()) > MOST_IN_GRID {
                return Err(Failure::input(format!(
                    "more than {MOST_IN_GRID} combinations; name fewer values"
                )));
            }
            let last = (values.len() - 1).max(1) as f64;
            let next = grid.iter().flat_map(|(name, table, place)| {
                values.iter().enumerate().map(move |(index, value)| {
                    let (mut name, mut table, mut place) = (name.clone(), table.clone(), place.clone());
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    name.push(format!("{flag}-{}", text.trim_end_matches("Scheduler")));
                    table.insert((*key).to_owned(), value.clone());
                    if value.is_str() {
                        // No value lies between two others: each has an axis of its own.
                        place.extend((0..values.len()).map(|axis| if axis == index { 0.5 } else { 0.0 }));
                    } else {
                        place.push(index as f64 / last);
                    }
                    (name, table, place)
                })
            });
            grid = next.collect();
        }
        if grid[0].1.is_empty() && self.from.is_none() {
            return Err(Failure::input(
                "nothing to try: name values with --steps, --guidance, --scheduler, --dtype or --set",
            ));
        }
        Ok(grid
            .into_iter()
            .map(|(name, generation, place)| {
                let name = if name.is_empty() { "as-it-is".to_owned() } else { name.join("_") };
                Combination { name, generation, place }
            })
            .collect())
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

impl Combination {
    fn candidate(&self, from: Option<&Path>) -> Entrant {
        Entrant {
            name: self.name.clone(),
            description: None,
            checkpoint: from.map(|from| from.display().to_string()),
            generation: self.generation.clone(),
            ..Entrant::default()
        }
    }
}

/// What the search climbs: the score; below zero by what gates and speed lack, so that misses lead somewhere, too.
fn merit(point: &Point) -> f64 {
    let slow = point.speedup.as_ref().map_or(-1.0, |e| e.point.max(1e-3).ln().min(0.0));
    match point.score > 0.0 {
        true => point.score,
        false => slow - if point.gates_passed == Some(false) { 1.0 } else { 0.0 },
    }
}

fn point(c: &CandidateEstimates, ranking: &Ranking) -> Point {
    Point {
        name: c.name.clone(),
        speedup: c.claimed_speedup().cloned(),
        similarity: c.similarity.clone(),
        gates_passed: (!c.gates.is_empty()).then(|| c.gates.iter().all(|g| g.passed)),
        score: ranking.entries.iter().find(|e| e.name == c.name).map_or(0.0, |e| e.score),
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

    fn at(name: &str, speed: f64, likeness: Option<f64>) -> Point {
        let estimate = |lower: Option<f64>| {
            Some(Estimate { point: 1.0, lower, upper: None, method: String::new(), n: 3, level: 0.95 })
        };
        Point {
            name: name.into(),
            speedup: estimate(Some(speed)),
            similarity: estimate(likeness),
            gates_passed: Some(true),
            score: 0.0,
            front: false,
        }
    }

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
        let mut points = [at("a", 2.0, Some(0.9)), at("b", 2.0, Some(0.9)), at("c", 2.0, Some(0.9))];
        (points[1].gates_passed, points[2].gates_passed) = (Some(false), None);
        let lines = table(&points, Path::new("out"));
        let last: Vec<&str> = lines[1..4].iter().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(last, ["passed", "missed", "none"], "{lines:?}");
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
