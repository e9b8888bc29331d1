//! What a candidate's answers prove about its quality.

use std::collections::BTreeMap;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::estimate::{Estimate, GateEstimate, MetricEstimate};
use edgemaxx_contract::metric::{Gate, Metric, Statistic};
use edgemaxx_contract::quality::QualityRecord;

use super::estimate::plain;
use crate::estimators::quantiles::Sorted;
use crate::estimators::{one_sided, student};

#[cfg(test)]
mod tests;

/// Worst requests listed.
const WORST: usize = 10;

/// All values of a metric, in the order of the records.
fn values(records: &[&QualityRecord], metric: Metric) -> Vec<f64> {
    records.iter().filter_map(|record| record.counts_as(metric)).filter(|value| value.is_finite()).collect()
}

/// The values that a proof rests on; `None` where a pair has none: it proves nothing, and must not be left out of the proof. Of
/// what is asked about some pairs only, those are all there is.
fn complete(records: &[&QualityRecord], metric: Metric) -> Option<Vec<f64>> {
    let values = values(records, metric);
    let all = if metric.entry().scored { !values.is_empty() } else { values.len() == records.len() };
    all.then_some(values)
}

/// Whether the candidate proves what a gate asks for: one-sided bound against threshold.
///
/// All gates must hold, so no correction for their number is due (intersection–union test).
pub fn gate(records: &[&QualityRecord], gate: &Gate, level: f64) -> GateEstimate {
    let bound = complete(records, gate.metric).and_then(|values| bound(&values, gate, level));
    let passed = bound.as_ref().is_some_and(|estimate| {
        if gate.metric.higher_is_better() {
            estimate.lower.is_some_and(|lower| lower >= gate.threshold)
        } else {
            estimate.upper.is_some_and(|upper| upper <= gate.threshold)
        }
    });
    GateEstimate { metric: gate.metric, statistic: gate.statistic, threshold: gate.threshold, bound, passed }
}

fn bound(values: &[f64], gate: &Gate, level: f64) -> Option<Estimate> {
    let up = gate.metric.higher_is_better();
    let (point, method) = match gate.statistic {
        Statistic::Mean => {
            ((!values.is_empty()).then(|| student::mean(values))?, "one-sided t on pairs, skewness-corrected")
        }
        Statistic::Quantile(q) => {
            (Sorted::new(values.to_vec()).quantile(q)?, "one-sided order statistic of pairs")
        }
    };
    Some(Estimate {
        point,
        lower: if up { lower_bound(values, gate.statistic, level) } else { None },
        upper: if up { None } else { upper_bound(values, gate.statistic, level) },
        method: method.to_owned(),
        n: values.len() as u32,
        level,
    })
}

fn lower_bound(values: &[f64], statistic: Statistic, level: f64) -> Option<f64> {
    match statistic {
        Statistic::Mean => one_sided::lower_bound(values, level),
        Statistic::Quantile(q) => Sorted::new(values.to_vec()).lower_bound(q, level),
    }
}

fn upper_bound(values: &[f64], statistic: Statistic, level: f64) -> Option<f64> {
    match statistic {
        Statistic::Mean => one_sided::upper_bound(values, level),
        Statistic::Quantile(q) => Sorted::new(values.to_vec()).upper_bound(q, level),
    }
}

/// The first gate that a candidate surely misses: the bound to the other side lies beyond the
/// threshold, at an error of 1 − `level` that is split evenly over `looks`.
///
/// Ending a candidate on this can cost an honest one its chance, with at most that error for each
/// gate; it never lets a bad one pass.
pub(super) fn surely_missed<'a>(
    records: &[&QualityRecord],
    gates: &'a [Gate],
    level: f64,
    looks: u32,
) -> Option<&'a Gate> {
    let level = 1.0 - (1.0 - level) / f64::from(looks.max(1));
    gates.iter().find(|gate| {
        let Some(values) = complete(records, gate.metric) else { return false };
        if gate.metric.higher_is_better() {
            upper_bound(&values, gate.statistic, level).is_some_and(|upper| upper < gate.threshold)
        } else {
            lower_bound(&values, gate.statistic, level).is_some_and(|lower| lower > gate.threshold)
        }
    })
}

/// Whether the candidate proves what all gates ask for even at an error of 1 − `level` that is split
/// evenly over `looks`: a later look will hardly find otherwise.
pub(super) fn surely_passed(records: &[&QualityRecord], gates: &[Gate], level: f64, looks: u32) -> bool {
    let level = 1.0 - (1.0 - level) / f64::from(looks.max(1));
    gates.iter().all(|asked| gate(records, asked, level).passed)
}

/// The similarity that enters the score, with a one-sided bound to either side; `None` where a
/// pair lacks it.
pub(crate) fn similarity(records: &[&QualityRecord], metric: Metric, level: f64) -> Option<Estimate> {
    let values = values(records, metric);
    if values.is_empty() || values.len() != records.len() {
        return None;
    }
    Some(Estimate {
        point: student::mean(&values),
        lower: one_sided::lower_bound(&values, level),
        upper: one_sided::upper_bound(&values, level),
        method: "one-sided t on pairs, skewness-corrected".to_owned(),
        n: values.len() as u32,
        level,
    })
}

/// The mean of the similarity that enters the score, by session; none for a session of which a pair
/// lacks it.
pub(super) fn similarity_by_session(records: &[&QualityRecord], metric: Metric) -> BTreeMap<u32, f64> {
    let mut sessions: BTreeMap<u32, Vec<&QualityRecord>> = BTreeMap::new();
    for record in records {
        sessions.entry(record.session).or_default().push(record);
    }
    let mean = |(session, records): (u32, Vec<&QualityRecord>)| {
        let values = values(&records, metric);
        (values.len() == records.len()).then(|| (session, student::mean(&values)))
    };
    sessions.into_iter().filter_map(mean).collect()
}

/// The mean and the worst of every metric that was computed.
pub(crate) fn metrics(records: &[&QualityRecord], level: f64) -> Vec<MetricEstimate> {
    let estimate = |metric: Metric| {
        let values = values(records, metric);
        let worst = metric.entry().direction.worst(values.iter().copied())?;
        Some(MetricEstimate { metric, mean: plain(&student::interval(&values, level), "t on pairs"), worst })
    };
    Metric::all().filter_map(estimate).collect()
}

/// The requests whose answers are least alike, by the score's similarity, else by its task's first metric.
pub(crate) fn worst_requests(records: &[&QualityRecord], contest: &Contest) -> Vec<u32> {
    let scored = contest.score.similarity;
    let others = || Metric::of_task(scored.entry().task).filter(|metric| metric.is_similarity());
    // Where nothing says how alike they are, they may be anything.
    let similarity = |record: &QualityRecord| {
        [scored]
            .into_iter()
            .chain(others())
            .find_map(|metric| record.value(metric))
            .unwrap_or(f64::NEG_INFINITY)
    };
    let mut order: Vec<&&QualityRecord> = records.iter().collect();
    order.sort_by(|a, b| similarity(a).total_cmp(&similarity(b)).then(a.request.cmp(&b.request)));
    let mut requests: Vec<u32> = Vec::new();
    for record in order {
        if !requests.contains(&record.request) {
            requests.push(record.request);
        }
        if requests.len() == WORST {
            break;
        }
    }
    requests
}
