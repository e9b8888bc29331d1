//! Whether two runs measured the same thing under the same conditions.
//!
//! Candidates may differ: they are what is compared. So may the number of sessions and pairs, the
//! day and the entropy: the statistics are about them. Everything else that latency or similarity
//! depends on must be equal, the baseline above all, because changes are measured against it.

use edgemaxx_contract::comparison::RunDifference;
use edgemaxx_contract::environment::{Build, Card};
use serde::Serialize;

use super::ComparableRun;

/// Everything in which the runs must not differ, and do.
pub(crate) fn differences(reference: &ComparableRun<'_>, subject: &ComparableRun<'_>) -> Vec<RunDifference> {
    let mut found = Vec::new();
    let (theirs, own) = (conditions(reference), conditions(subject));
    let value = |conditions: &[(&str, String)], what: &str| {
        let found = conditions.iter().find(|(label, _)| *label == what);
        found.map_or_else(|| or_none(String::new()), |(_, value)| value.clone())
    };
    // Of another task are other things to compare.
    let only_own = own.iter().filter(|(what, _)| theirs.iter().all(|(label, _)| label != what));
    for (what, _) in theirs.iter().chain(only_own) {
        let (reference, subject) = (value(&theirs, what), value(&own, what));
        if reference != subject {
            found.push(RunDifference { what: (*what).to_owned(), reference, subject });
        }
    }
    let pins = |run: &ComparableRun<'_>, other: &ComparableRun<'_>| {
        let others: Vec<&str> = other.environment.pins_of_any_card().collect();
        let missing = run.environment.pins_of_any_card().filter(|pin| !others.contains(pin));
        missing.collect::<Vec<_>>().join(" ")
    };
    let (before, after) = (pins(reference, subject), pins(subject, reference));
    if before != after {
        found.push(RunDifference {
            what: "pins".to_owned(),
            reference: or_none(before),
            subject: or_none(after),
        });
    }
    found
}

/// Everything in which the EdgeMaxx of two runs were built otherwise, where both say how.
pub(crate) fn builds(reference: &ComparableRun<'_>, subject: &ComparableRun<'_>) -> Vec<RunDifference> {
    let (Some(before), Some(after)) = (&reference.environment.build, &subject.environment.build) else {
        return Vec::new();
    };
    let parts = |build: &Build| {
        [
            ("commit", build.commit.clone()),
            ("profile", build.profile.clone()),
            ("compiler", build.rustc.clone()),
            ("features", or_none(build.features.join(" "))),
        ]
    };
    let pairs = parts(before).into_iter().zip(parts(after)).filter(|((_, one), (_, other))| one != other);
    pairs
        .map(|((what, reference), (_, subject))| RunDifference { what: what.to_owned(), reference, subject })
        .collect()
}

fn conditions(run: &ComparableRun<'_>) -> Vec<(&'static str, String)> {
    let (plan, environment) = (run.evidence.plan, run.environment);
    let baseline = plan.baseline();
    let models: Vec<String> = run
        .evidence
        .quality
        .header
        .models
        .iter()
        .map(|(model, digest)| format!("{model} {}", digest.short()))
        .collect();
    let models = models.join(", ");
    let gib = environment.memory_bytes as f64 / f64::from(1 << 30);
    let mut conditions = vec![
        ("contest", plan.contest.name.clone()),
        (
            "device",
            format!("{} {}", json(&plan.device.kind), or_none(plan.device.name.clone().unwrap_or_default())),
        ),
        ("task", plan.task.to_string()),
        ("prompts", format!("{} {}", plan.prompts.file, plan.prompts.digest.short())),
        ("baseline", format!("{} {}", baseline.name, baseline.digest.short())),
        ("baseline's settings", json(&baseline.settings)),
        ("baseline's engine", json(&baseline.engine)),
        ("threads per engine", plan.measurement.threads.to_string()),
        ("residency", json(&plan.measurement.residency)),
        ("warm-up", format!("{} to {}", plan.measurement.warmup_min, plan.measurement.warmup_max)),
        ("similarity", run.evidence.contest.score.similarity.to_string()),
        ("judging models", or_none(models)),
        ("EdgeMaxx", environment.edgemaxx.clone()),
        ("system", environment.os.clone()),
        ("processor", environment.cpu.clone()),
        ("processors usable", environment.cpus.to_string()),
        ("memory", format!("{gib:.0} GiB")),
        ("GPUs", or_none(environment.gpus.join(", "))),
        ("card", or_none(environment.card.as_ref().map(card).unwrap_or_default())),
        ("sandbox", environment.sandbox.to_string()),
    ];
    let of_task = plan.task.request_rows(&plan.request).into_iter().map(|row| (row.label, row.value));
    let after = conditions.iter().position(|(what, _)| *what == "task").map_or(0, |at| at + 1);
    conditions.splice(after..after, of_task);
    conditions
}

/// Its kind, not which one of that kind.
fn card(card: &Card) -> String {
    let driver = card.driver.as_ref().map_or(String::new(), |driver| format!(", driver {driver}"));
    format!("{}{driver}", card.name)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
