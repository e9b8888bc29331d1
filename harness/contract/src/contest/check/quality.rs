//! Of a contest's file: gates on quality, and the models that they need.

use std::collections::BTreeMap;

use super::super::spec::{CheckpointSpec, QualitySpec};
use super::super::wire::{WireGate, WireQuality};
use super::level;
use crate::input::{InputError, bad, within};
use crate::metric::{Class, Gate, Metric, Model, Statistic};
use crate::task::{RequestSpec, TaskRef};

pub(super) fn quality(
    wire: WireQuality,
    task: TaskRef,
    request: &RequestSpec,
    baseline: &CheckpointSpec,
) -> Result<QualitySpec, InputError> {
    let class = wire.class.map_or(Ok(Vec::new()), |name| class_gates(&name, task))?;
    let named: Vec<Gate> =
        wire.gates.into_iter().enumerate().map(|(index, g)| gate(index, g)).collect::<Result<Vec<_>, _>>()?;
    let gates: Vec<Gate> = class.into_iter().chain(named).collect();
    let of_task: Vec<Metric> = Metric::of_task(task.name()).collect();
    if let Some((index, gate)) = gates.iter().enumerate().find(|(_, gate)| !of_task.contains(&gate.metric)) {
        let names: Vec<String> = of_task.iter().map(Metric::to_string).collect();
        let expected = format!("a metric of {}: {}", task.answer().several, names.join(", "));
        return Err(bad(format!("quality.gate[{index}].metric"), &expected, gate.metric));
    }
    if let Some(gate) = gates.iter().find(|gate| gate.metric.entry().scored && task.scored(request) == 0) {
        let expected = format!("1 or more, since a gate reads {}", gate.metric);
        return Err(bad("request.scored", &expected, 0));
    }
    let reads_baseline = of_task.iter().any(|metric| metric.needs().contains(&Model::Baseline));
    let own = reads_baseline.then(|| baseline.source.clone());
    let models = [(Model::Clip, wire.clip), (Model::Lpips, wire.lpips), (Model::Baseline, own)];
    let models = models.into_iter().filter_map(|(model, folder)| Some((model, folder?))).collect();
    for gate in &gates {
        has_models(&models, gate.metric, "a gate")?;
    }
    Ok(QualitySpec { models, level: level("quality.level", wire.level)?, gates })
}

/// The gates of a class of the task.
fn class_gates(name: &str, task: TaskRef) -> Result<Vec<Gate>, InputError> {
    let class = Class::of_task(task.name()).find(|class| class.name == name);
    class.map(Class::gates).ok_or_else(|| {
        let names: Vec<String> =
            Class::of_task(task.name()).map(|class| format!("{:?}", class.name)).collect();
        let expected = match names.as_slice() {
            [] => format!("none: there are no classes of {}", task.answer().several),
            names => names.join(" or "),
        };
        bad("quality.class", &expected, format!("{name:?}"))
    })
}

/// Refuses what reads a metric whose models have no folder.
pub(super) fn has_models(
    models: &BTreeMap<Model, String>,
    metric: Metric,
    reader: &str,
) -> Result<(), InputError> {
    match metric.needs().iter().find(|model| !models.contains_key(model)) {
        None => Ok(()),
        Some(model) => {
            let expected = format!("{} folder, since {reader} reads {metric}", model.with_article());
            Err(bad(format!("quality.{model}"), &expected, "none"))
        }
    }
}

fn gate(index: usize, wire: WireGate) -> Result<Gate, InputError> {
    let field = |key: &str| format!("quality.gate[{index}] {} {key}", wire.metric);
    let statistic = match wire.quantile {
        None => Statistic::Mean,
        Some(q) => Statistic::Quantile(within(&field("quantile"), q, 0.001, 0.999)?),
    };
    let (key, other, threshold) = if wire.metric.higher_is_better() {
        ("at_least", wire.at_most, wire.at_least)
    } else {
        ("at_most", wire.at_least, wire.at_most)
    };
    let threshold = match (threshold, other) {
        (Some(value), None) if value.is_finite() => value,
        _ => return Err(bad(field(key), "exactly this bound, a finite number", "something else")),
    };
    let (low, high) = wire.metric.range();
    within(&field(key), threshold, low, high)?;
    Ok(Gate { metric: wire.metric, statistic, threshold, reason: wire.reason })
}
