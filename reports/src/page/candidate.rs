//! One candidate's own section: numbers, gates, sessions, answers.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::{CheckpointSpec, EngineSpec};
use edgemaxx_contract::estimate::{
    CandidateEstimates, Claim, Compared, Estimate, GateEstimate, HonestyVerdict, Latency, LimitEstimate,
    Streaming,
};
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::task::TaskRef;
use serde::Serialize;

use super::Fact;
use super::board::BoardRow;
use super::latencies::CandidateLatencies;
use crate::escape::visible;
use crate::exhibit::{Shown, of_task};
use crate::number::{self, UNDEFINED};
use crate::plot;
use crate::view::RunView;

/// A candidate's section.
#[derive(Debug, Serialize)]
pub(crate) struct Drill {
    pub row: BoardRow,
    pub facts: Vec<Fact>,
    pub settings: Vec<Fact>,
    pub gates: Vec<GateRow>,
    pub latency: Vec<[String; 4]>,
    pub quality: Vec<[String; 4]>,
    pub failures: Vec<FailureRow>,
    pub ratios: String,
    pub strips: String,
    pub series: String,
    pub length: String,
    pub latency_title: String,
    pub answers: Vec<Pair>,
    pub answers_note: String,
}

/// A gate and whether it was proven.
#[derive(Debug, Serialize)]
pub(crate) struct GateRow {
    pub what: String,
    pub demand: String,
    pub bound: String,
    pub passed: bool,
    pub reason: String,
}

/// A kind of failure.
#[derive(Debug, Serialize)]
pub(crate) struct FailureRow {
    pub kind: String,
    pub count: u32,
    pub first: String,
}

/// A pair of answers.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    pub asked: String,
    pub numbers: String,
    pub shown: Option<String>,
    pub narrow: bool,
}

/// A candidate's worst pairs, worst first: quality records in the order of the estimates.
pub(crate) fn worst<'a>(
    estimates: &CandidateEstimates,
    records: &BTreeMap<(&str, u32), &'a QualityRecord>,
    limit: usize,
) -> Vec<&'a QualityRecord> {
    let ids = estimates.worst_requests.iter().take(limit);
    ids.filter_map(|id| records.get(&(estimates.name.as_str(), *id)).copied()).collect()
}

/// Builds the section, without answers. `dots` shows single samples in the strips; left out where there are very
/// many candidates.
pub(crate) fn drill(
    view: &RunView<'_>,
    row: BoardRow,
    estimates: Option<&CandidateEstimates>,
    latencies: Option<&CandidateLatencies>,
    dots: bool,
) -> Drill {
    let pipeline = estimates.and_then(|e| view.plan.pipeline(&e.name));
    let id = &row.anchor;
    let plots = latencies.filter(|s| s.sessions.iter().any(|s| !s.timed.is_empty()));
    let speedup = estimates.and_then(|e| e.speedup.as_ref());
    let ends = speedup.map_or((None, None), |s| (s.lower, s.upper));
    let ratios = plots.filter(|s| s.sessions.iter().any(|s| !s.ratios.is_empty()));
    Drill {
        facts: estimates.map_or_else(Vec::new, |e| facts(view.plan.task, e, latencies)),
        settings: pipeline.map_or_else(Vec::new, |pipeline| settings(view.plan.task, pipeline)),
        gates: estimates.map_or_else(Vec::new, |e| {
            e.gates.iter().map(|g| gate(view, g)).chain(e.limits.iter().map(|l| limit(view, l))).collect()
        }),
        latency: estimates.map_or_else(Vec::new, |e| latency(view.plan.task, e)),
        quality: estimates.map_or_else(Vec::new, quality),
        failures: estimates.map_or_else(Vec::new, |e| {
            let row = |f: &edgemaxx_contract::estimate::FailureCount| FailureRow {
                kind: f.kind.to_string(),
                count: f.count,
                first: visible(&f.first),
            };
            e.failures.iter().map(row).collect()
        }),
        ratios: ratios.map_or_else(String::new, |s| {
            plot::ratios(&format!("{id}-ratios"), &row.name, &s.sessions, speedup.map(|s| s.point), ends)
        }),
        strips: ratios.map_or_else(String::new, |s| {
            plot::strips(&format!("{id}-strips"), &row.name, &s.sessions, dots)
        }),
        series: plots
            .map_or_else(String::new, |s| plot::series(&format!("{id}-series"), &row.name, &s.sessions)),
        length: match (view.plan.task.unit(), plots) {
            (Some(unit), Some(latencies)) => plot::length(
                &format!("{id}-length"),
                &row.name,
                unit.several,
                [&latencies.answers(false), &latencies.answers(true)],
            ),
            _ => String::new(),
        },
        latency_title: view
            .plan
            .task
            .unit()
            .map_or_else(|| "Latency, ms".to_owned(), |unit| format!("Latency for each {}, ms", unit.one)),
        answers: Vec::new(),
        answers_note: String::new(),
        row,
    }
}

impl Drill {
    /// Adds pairs of answers, worst first.
    pub(crate) fn show(&mut self, view: &RunView<'_>, answers: Vec<(&QualityRecord, Option<Shown>)>) {
        self.answers_note = note(view, &answers);
        self.answers = answers.into_iter().map(|(record, shown)| pair(view, record, shown)).collect();
    }
}

fn ranged(estimate: &Estimate, format: impl Fn(f64) -> String) -> String {
    let point = number::optional(Some(estimate.point), &format);
    match number::interval(estimate.lower, estimate.upper, &format) {
        ends if ends == UNDEFINED => point,
        ends => format!("{point} [{ends}]"),
    }
}

fn facts(task: TaskRef, e: &CandidateEstimates, latencies: Option<&CandidateLatencies>) -> Vec<Fact> {
    let speed = |estimate: Option<&Estimate>| {
        estimate.map_or_else(|| UNDEFINED.to_owned(), |s| ranged(s, number::speedup))
    };
    let level = |s: &Estimate| format!("{} interval", number::percent(s.level, 0));
    let claim = match e.claim {
        Claim::Faster => "faster than the baseline, proven",
        Claim::Slower => "slower than the baseline, proven",
        Claim::Tie => "a tie with the baseline: neither is proven faster",
        Claim::Ambiguous => "ambiguous: not the same without throttled samples",
    };
    let planned = latencies.map_or(e.sessions, |s| s.planned);
    let mut facts = vec![Fact::new("Claim", claim)];
    // The interval that the claim rests on comes first.
    if let Some(shared) = &e.speedup_simultaneous {
        facts.push(Fact::new(
            format!("Speedup, {} for all candidates at once", level(shared)),
            speed(Some(shared)),
        ));
    }
    facts.push(Fact::new(
        match &e.speedup {
            Some(own) if e.speedup_simultaneous.is_some() => {
                format!("Speedup, its own {}", level(own))
            }
            Some(own) => format!("Speedup, {}", level(own)),
            None => "Speedup".to_owned(),
        },
        speed(e.speedup.as_ref()),
    ));
    if e.speedup_unthrottled.is_some() {
        facts.push(Fact::new("Without throttled samples", speed(e.speedup_unthrottled.as_ref())));
    }
    facts.extend([
        Fact::new("p-value, and adjusted for all candidates", {
            let p = |v: Option<f64>| number::optional(v, p_value);
            format!("{}, {}", p(e.p_value), p(e.p_adjusted))
        }),
        Fact::new(
            "Speed rank, not excluded",
            e.rank.map_or_else(
                || UNDEFINED.to_owned(),
                |r| {
                    if r.lower == r.upper {
                        r.lower.to_string()
                    } else {
                        format!("{} to {}", r.lower, r.upper)
                    }
                },
            ),
        ),
        Fact::new("Probability of being the fastest", number::optional(e.p_best, |p| number::percent(p, 1))),
        Fact::new(
            "Evidence",
            format!("{} in {} of {planned} sessions", visible(&e.counted.to_string()), e.sessions),
        ),
        Fact::new("Outliers kept (Tukey's fences)", {
            let o = &e.outliers;
            let mild = o.low_mild + o.high_mild;
            format!("{mild} mild, {} severe", o.low_severe + o.high_severe)
        }),
    ]);
    if let Some(latencies) = latencies {
        let (answered, throttled, failed) = latencies.counts();
        let mut text = format!("{answered} answered, {failed} failed, {throttled} throttled");
        if e.sessions_unsteady > 0 {
            text.push_str(&format!("; not steady before the first pair in {} sessions", e.sessions_unsteady));
        }
        if e.sessions_drifting > 0 {
            text.push_str(&format!("; the baseline drifted in {} sessions", e.sessions_drifting));
        }
        facts.push(Fact::new("Requests, both sides, with warm-up", text));
    }
    if let Some(rate) = &e.throughput_per_s {
        let what = task.unit().map_or("Answers".to_owned(), |unit| capitalised(unit.several));
        facts.push(Fact::new(format!("{what} per second"), ranged(rate, |v| number::significant(v, 4))));
    }
    if let (Some(unit), Some(own), Some(baseline)) =
        (task.unit(), &e.energy_unit_j, &e.baseline_energy_unit_j)
    {
        let joules = |v: f64| format!("{} J", number::significant(v, 4));
        let text = format!("{}; the baseline {}", ranged(own, joules), ranged(baseline, joules));
        facts.push(Fact::new(format!("Energy for each {}", unit.one), text));
    }
    if let Some(speedup) = &e.speedup {
        facts.push(Fact::new("Method", visible(&speedup.method)));
    }
    if let Some(floor) = &e.floor {
        facts.push(Fact::new(
            "Latency over the floor",
            format!(
                "{} at the declared precision, {} at least; the floor is {}, at the lowest precision {}",
                number::speedup(floor.times),
                number::speedup(floor.least_times),
                number::millis(floor.declared_ms),
                number::millis(floor.lowest_ms)
            ),
        ));
    }
    facts.extend(e.honesty.iter().map(|check| {
        let verdict = match check.verdict {
            HonestyVerdict::Passed => "good",
            HonestyVerdict::Unknown => "not known",
            HonestyVerdict::Doubtful => "doubtful",
            HonestyVerdict::Failed => "dishonest",
        };
        Fact::new(
            format!("Honesty: {}", check.what.title().to_lowercase()),
            format!("{verdict}: {}", visible(&check.detail)),
        )
    }));
    facts
}

fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { number::fixed(p, 4) }
}

/// A label with a capital letter.
fn capitalised(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a pipeline is made of.
pub(crate) fn settings(task: TaskRef, pipeline: &PipelinePlan) -> Vec<Fact> {
    let CheckpointSpec { source, unet, derive } = &pipeline.checkpoint;
    let mut facts = vec![Fact::new("Checkpoint", visible(source))];
    if let Some(unet) = unet {
        facts.push(Fact::new("UNet", visible(unet)));
    }
    if let Some(recipe) = derive {
        facts.push(Fact::new("Derived", recipe.to_string()));
    }
    let of_task = task.settings_rows(&pipeline.settings).into_iter();
    facts.extend(of_task.map(|row| Fact::new(capitalised(row.label), visible(&row.value))));
    facts.extend([
        Fact::new(
            "Engine",
            match &pipeline.engine {
                EngineSpec::Native => "built in (candle)".to_owned(),
                EngineSpec::CandleTransformers => "built in (candle-transformers)".to_owned(),
                EngineSpec::Command(engine) => visible(&engine.command.join(" ")),
            },
        ),
        Fact::new("Digest", pipeline.digest.to_string()),
    ]);
    facts
}

fn gate(view: &RunView<'_>, gate: &GateEstimate) -> GateRow {
    let higher = gate.metric.higher_is_better();
    let show = |v: f64| metric_value(gate.metric, v);
    let found = view.contest.quality.gates.iter().find(|g| {
        g.metric == gate.metric
            && g.statistic == gate.statistic
            && g.threshold.total_cmp(&gate.threshold).is_eq()
    });
    let bound = gate.bound.as_ref().and_then(|b| if higher { b.lower } else { b.upper });
    GateRow {
        what: format!("{}, {}", gate.metric.title(), gate.statistic),
        demand: format!("{} {}", if higher { "≥" } else { "≤" }, show(gate.threshold)),
        bound: bound.map_or_else(
            || UNDEFINED.to_owned(),
            |b| format!("{} {}", if higher { "≥" } else { "≤" }, show(b)),
        ),
        passed: gate.passed,
        reason: found.map_or_else(String::new, |g| visible(&g.reason)),
    }
}

fn limit(view: &RunView<'_>, limit: &LimitEstimate) -> GateRow {
    let found = view.contest.score.limits.iter().find(|other| other.of == limit.of);
    let upper = limit.ratio.as_ref().and_then(|ratio| ratio.upper);
    GateRow {
        what: format!("{}, of the baseline’s", limit.of),
        demand: format!("≤ {}", number::speedup(limit.at_most)),
        bound: upper.map_or_else(|| UNDEFINED.to_owned(), |upper| format!("≤ {}", number::speedup(upper))),
        passed: limit.passed,
        reason: found.map_or_else(String::new, |limit| visible(&limit.reason)),
    }
}

fn latency(task: TaskRef, e: &CandidateEstimates) -> Vec<[String; 4]> {
    type Part = fn(&Latency) -> &Estimate;
    let parts: [(&str, Part); 4] = [
        ("Mean", |l| &l.mean),
        ("Median", |l| &l.p50),
        ("90th percentile", |l| &l.p90),
        ("99th percentile", |l| &l.p99),
    ];
    if e.latency_ms.is_none() && e.baseline_latency_ms.is_none() {
        return Vec::new();
    }
    let show = |l: Option<&Latency>, part: Part| {
        l.map_or_else(|| UNDEFINED.to_owned(), |l| ranged(part(l), |v| number::significant(v, 4)))
    };
    parts
        .into_iter()
        .map(|(label, part)| {
            let (c, b) = (e.latency_ms.as_ref(), e.baseline_latency_ms.as_ref());
            let ratio = c.zip(b).map(|(c, b)| part(b).point / part(c).point);
            [label.to_owned(), show(b, part), show(c, part), number::optional(ratio, number::speedup)]
        })
        .chain(streaming(task, "", e.streaming.as_ref()))
        .chain(e.kinds.iter().flat_map(|kind| {
            let name = visible(&kind.kind);
            let scored = compared(format!("{name}: mean"), &kind.scored);
            std::iter::once(scored).chain(streaming(task, &format!("{name}: "), kind.streaming.as_ref()))
        }))
        .collect()
}

/// A time of both sides, and by how much the candidate is faster.
fn compared(label: String, found: &Compared) -> [String; 4] {
    let show = |estimate: &Estimate| ranged(estimate, |v| number::significant(v, 4));
    let turned = |value: Option<f64>| value.map(|ratio| 1.0 / ratio);
    let Estimate { point, lower, upper, .. } = found.ratio;
    let faster =
        Estimate { point: 1.0 / point, lower: turned(upper), upper: turned(lower), ..found.ratio.clone() };
    [label, show(&found.baseline_ms), show(&found.candidate_ms), ranged(&faster, number::speedup)]
}

/// How answers came that come in parts.
fn streaming(task: TaskRef, kind: &str, found: Option<&Streaming>) -> Vec<[String; 4]> {
    let Some(found) = found else { return Vec::new() };
    let unit = task.unit().map_or("part", |unit| unit.one);
    [
        (format!("{kind}to the first part"), Some(&found.first)),
        (format!("{kind}each further {unit}"), found.next.as_ref()),
        (format!("{kind}between parts, median"), found.gap_p50.as_ref()),
        (format!("{kind}between parts, 99th percentile"), found.gap_p99.as_ref()),
    ]
    .into_iter()
    .filter_map(|(label, found)| Some(compared(capitalised(&label), found?)))
    .collect()
}

/// The metrics of a candidate's answers; of those that take scores only the first, and why, where it has none.
fn quality(e: &CandidateEstimates) -> Vec<[String; 4]> {
    let without = e.unscored.as_ref().and_then(|why| {
        let metric = Metric::all().find(|metric| metric.entry().scored)?;
        Some([metric.title(), UNDEFINED.to_owned(), visible(why), UNDEFINED.to_owned()])
    });
    let known = e.quality.iter().map(|m| {
        let show = |v: f64| metric_value(m.metric, v);
        [
            m.metric.title(),
            number::optional(Some(m.mean.point), show),
            number::interval(m.mean.lower, m.mean.upper, show),
            number::optional(Some(m.worst), show),
        ]
    });
    known.chain(without).collect()
}

fn metric_value(metric: Metric, value: f64) -> String {
    number::fixed(value, metric.entry().digits)
}

fn pair(view: &RunView<'_>, record: &QualityRecord, shown: Option<Shown>) -> Pair {
    let request = view.plan.requests.get(record.request as usize);
    let asked = request.map_or_else(String::new, |r| visible(&view.plan.task.ask_words(&r.ask)));
    let seed = request.map(|request| format!("seed {}", request.seed));
    let numbers = if record.is_identical() {
        vec!["identical answers".to_owned()]
    } else {
        Metric::all().filter_map(|m| Some(m.caption(record.value(m)?, number::fixed))).collect()
    };
    Pair {
        asked,
        numbers: seed.into_iter().chain(numbers).collect::<Vec<_>>().join(" · "),
        narrow: shown.as_ref().is_some_and(|shown| shown.narrow),
        shown: shown.map(|shown| shown.html),
    }
}

fn note(view: &RunView<'_>, answers: &[(&QualityRecord, Option<Shown>)]) -> String {
    let reduced = answers.iter().filter_map(|(_, shown)| shown.as_ref()?.reduced).max();
    let missing = answers.iter().filter(|(_, shown)| shown.is_none()).count();
    let mut note = reduced.map_or_else(String::new, |by| of_task(view.plan.task).reduced(by));
    if missing > 0 {
        note.push_str(&format!(
            "{missing} of these pairs have no answers here: not kept, or too large for this page. "
        ));
    }
    note.trim_end().to_owned()
}
