//! Which settings of a checkpoint are worth submitting: a grid of them, what is measured of it, and its Pareto front.

use std::path::Path;

use edgemaxx_contract::contest::Entrant;
use edgemaxx_contract::estimate::{CandidateEstimates, Estimate};
use edgemaxx_contract::plan::Role;
use edgemaxx_contract::ranking::Ranking;
use serde::Serialize;
use toml::{Table, Value};

use super::recipe::twice;
use super::{bench, choose};
use crate::error::{Result, RunError};
use crate::progress::Observer;

/// More in one run would take days.
const MOST: usize = 64;
/// More to choose from is a mistyped list.
const MOST_IN_GRID: usize = 4096;

/// A setting of `generation`, what its values are called by, and the values to try.
pub type Axis = (String, String, Vec<Value>);

/// One combination of settings.
#[derive(Debug, Clone)]
pub struct Combination {
    name: String,
    generation: Table,
    /// Where it lies in the unit cube, for the search.
    place: Vec<f64>,
}

/// One combination and what is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Its settings.
    pub name: String,
    /// By how much it is faster than the baseline.
    pub speedup: Option<Estimate>,
    /// How like the baseline's its answers are.
    pub similarity: Option<Estimate>,
    /// Whether all of the contest's gates are proven; absent: it has none.
    pub gates_passed: Option<bool>,
    /// What the contest would pay for it; 0 for whatever is not accepted.
    pub score: f64,
    /// No other is proven at least as good in both and better in one.
    pub front: bool,
}

/// A search instead of measuring everything.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Runs, one after the other.
    pub rounds: u32,
    /// Combinations in each.
    pub per_round: u32,
}

/// Every combination of the axes' values; without any, the one that changes nothing.
///
/// # Errors
/// There are too many, or a setting has two axes, of which one would undo the other.
pub fn grid(axes: &[Axis]) -> Result<Vec<Combination>> {
    let axes: Vec<&Axis> = axes.iter().filter(|(_, _, values)| !values.is_empty()).collect();
    if let Some(key) = twice(axes.iter().map(|(key, ..)| key.as_str())) {
        return Err(RunError::input(format!(
            "the setting {key} is given twice; name all its values in one place"
        )));
    }
    let mut grid = vec![(Vec::<String>::new(), Table::new(), Vec::<f64>::new())];
    for (key, called, values) in axes {
        if grid.len().saturating_mul(values.len()) > MOST_IN_GRID {
            return Err(RunError::input(format!("more than {MOST_IN_GRID} combinations; name fewer values")));
        }
        let last = (values.len() - 1).max(1) as f64;
        let next = grid.iter().flat_map(|(name, table, place)| {
            values.iter().enumerate().map(move |(index, value)| {
                let (mut name, mut table, mut place) = (name.clone(), table.clone(), place.clone());
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                name.push(format!("{called}-{}", text.trim_end_matches("Scheduler")));
                table.insert(key.clone(), value.clone());
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
    Ok(grid
        .into_iter()
        .map(|(name, generation, place)| {
            let name = if name.is_empty() { "as-it-is".to_owned() } else { name.join("_") };
            Combination { name, generation, place }
        })
        .collect())
}

/// Measures combinations of `grid` against the baseline of `contest`, all in one run `out`, or in a few runs in `out` by a
/// search; `from`: their checkpoint, the baseline's where there is none. The front is marked, the fastest comes first.
///
/// # Errors
/// Too many for one run, or those of a run.
pub fn tune(
    contest: &Path,
    from: Option<&Path>,
    grid: &[Combination],
    search: Option<Search>,
    quick: bool,
    out: &Path,
    observer: &dyn Observer,
) -> Result<Vec<Point>> {
    let measure = |chosen: &[usize], out: &Path| -> Result<Vec<Point>> {
        let candidates: Vec<Entrant> = chosen.iter().map(|&i| grid[i].candidate(from)).collect();
        let benched = bench(contest, &candidates, quick, out, observer)?;
        let candidates = benched.estimates.candidates.iter().filter(|c| c.role == Role::Candidate);
        Ok(candidates.map(|candidate| point(candidate, &benched.ranking)).collect())
    };
    let mut points = Vec::new();
    if let Some(Search { rounds, per_round }) = search {
        let places: Vec<Vec<f64>> = grid.iter().map(|c| c.place.clone()).collect();
        let mut known: Vec<(usize, f64)> = Vec::new();
        for round in 1..=rounds {
            let chosen = choose(&places, &known, per_round as usize);
            if chosen.is_empty() {
                break;
            }
            let names: Vec<&str> = chosen.iter().map(|&i| grid[i].name.as_str()).collect();
            observer.note(&format!("tune: round {round} of {rounds}: {}", names.join(", ")));
            let found = measure(&chosen, &out.join(format!("round-{round}")))?;
            for &i in &chosen {
                let point = found.iter().find(|p| p.name == grid[i].name);
                known.push((i, point.map_or(0.0, merit)));
            }
            points.extend(found);
        }
    } else {
        if grid.len() > MOST {
            return Err(RunError::input(format!(
                "{} combinations, at most {MOST} fit one run; name fewer values, or search with --rounds",
                grid.len()
            )));
        }
        observer.note(&format!("tune: {} combinations in one run", grid.len()));
        points = measure(&(0..grid.len()).collect::<Vec<_>>(), out)?;
    }
    mark_front(&mut points);
    points.sort_by(|a, b| lower(&b.speedup).total_cmp(&lower(&a.speedup)).then(a.name.cmp(&b.name)));
    Ok(points)
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
    fn a_setting_has_one_axis() {
        let axis = |key: &str, called: &str, values: &[i64]| -> Axis {
            (key.to_owned(), called.to_owned(), values.iter().map(|n| (*n).into()).collect())
        };
        let two = grid(&[axis("steps", "steps", &[4, 8]), axis("lookup", "lookup", &[])]).unwrap();
        let names: Vec<&str> = two.iter().map(|combination| combination.name.as_str()).collect();
        assert_eq!(names, ["steps-4", "steps-8"]);
        let twice =
            grid(&[axis("guidance_scale", "guidance", &[1]), axis("guidance_scale", "guidance_scale", &[2])]);
        assert!(twice.unwrap_err().to_string().contains("the setting guidance_scale is given twice"));
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
