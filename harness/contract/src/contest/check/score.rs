//! Of a contest's file: what a score is made of.

use super::super::limit::Limit;
use super::super::spec::ScoreSpec;
use super::super::wire::WireScore;
use super::level;
use crate::input::{InputError, bad, within};
use crate::metric::Metric;
use crate::task::TaskRef;

pub(super) fn score(wire: &WireScore, task: TaskRef) -> Result<ScoreSpec, InputError> {
    Ok(ScoreSpec {
        level: level("score.level", wire.level)?,
        min_speedup: within("score.min_speedup", wire.min_speedup.unwrap_or(1.0), 1.0, 100.0)?,
        similarity: similarity(wire.similarity.as_deref(), task)?,
        similarity_gate: within("score.similarity_gate", wire.similarity_gate.unwrap_or(0.0), -1.0, 0.999)?,
        similarity_exponent: within(
            "score.similarity_exponent",
            wire.similarity_exponent.unwrap_or(0.5),
            0.0,
            16.0,
        )?,
        limits: limits(&wire.limits, task)?,
    })
}

/// Bounds on what only answers in parts have, and energy for each unit, are for tasks whose answers have units.
fn limits(limits: &[Limit], task: TaskRef) -> Result<Vec<Limit>, InputError> {
    for (index, limit) in limits.iter().enumerate() {
        let field = |key: &str| format!("score.limit[{index}].{key}");
        if task.unit().is_none() {
            let expected = format!("none: {} come whole", task.answer().several);
            return Err(bad(field("of"), &expected, limit.of));
        }
        if limits[..index].iter().any(|other| other.of == limit.of) {
            return Err(bad(field("of"), "a bound named once", format!("the {} twice", limit.of)));
        }
        within(&field("at_most"), limit.at_most, 0.001, 1000.0)?;
    }
    Ok(limits.to_vec())
}

/// A metric of the task that a score can multiply speed with: the last of them, where none is named. A name is written
/// with hyphens, and may be with underscores.
fn similarity(name: Option<&str>, task: TaskRef) -> Result<Metric, InputError> {
    let known: Vec<Metric> = Metric::of_task(task.name()).filter(|metric| metric.is_similarity()).collect();
    let found = match name {
        // A task without metrics of its own has nothing that this could say.
        None => known.last().copied().or_else(|| Metric::all().find(|metric| metric.is_similarity())),
        Some(name) => known.iter().copied().find(|metric| metric.name() == name.replace('-', "_")),
    };
    found.ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|metric| metric.to_string().replace('_', "-")).collect();
        bad(
            "score.similarity",
            &format!("one of {}", names.join(", ")),
            format!("{:?}", name.unwrap_or("none")),
        )
    })
}
