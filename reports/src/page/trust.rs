//! Why the numbers may be believed: the certificate, how measurement stopped, the methods.

use edgemaxx_contract::contest::RewardFormula;
use edgemaxx_contract::estimate::{CertificateVerdict, Estimate};
use edgemaxx_contract::plan::Extent;
use serde::Serialize;

use super::Fact;
use super::board::{BoardRow, anchor};
use super::latencies::CandidateLatencies;
use crate::escape::visible;
use crate::exhibit::of_task;
use crate::number::{self, UNDEFINED};
use crate::plot;
use crate::view::RunView;

/// What the control says.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateView {
    pub fit: bool,
    pub verdict: &'static str,
    pub reason: String,
    pub facts: Vec<Fact>,
    pub plot: String,
}

/// How measurement of one candidate ended.
#[derive(Debug, Serialize)]
pub(crate) struct StopRow {
    pub anchor: String,
    pub name: String,
    pub sessions: String,
    pub pairs: String,
    pub half_width: String,
    pub why: String,
}

/// How measurement ended.
#[derive(Debug, Serialize)]
pub(crate) struct StoppingView {
    pub rule: String,
    pub rows: Vec<StopRow>,
}

/// The certificate.
pub(crate) fn certificate(view: &RunView<'_>) -> CertificateView {
    let c = &view.estimates.certificate;
    let fit = c.verdict == CertificateVerdict::Fit;
    let percent = |v: Option<f64>| number::optional(v, |v| format!("±{}", number::percent(v, 2)));
    let speedup = |s: &Estimate| {
        format!("{} [{}]", number::speedup(s.point), number::interval(s.lower, s.upper, number::speedup))
    };
    CertificateView {
        fit,
        verdict: if fit { "fit" } else { "unfit" },
        reason: visible(&c.reason),
        facts: vec![
            Fact::new("Control", visible(&c.control)),
            Fact::new(
                "Baseline over itself",
                c.speedup.as_ref().map_or_else(|| UNDEFINED.to_owned(), speedup),
            ),
            Fact::new("Noise floor", percent(c.noise_floor)),
            Fact::new(
                "Minimum detectable effect, 80% power",
                number::optional(c.minimum_detectable_effect, |v| number::percent(v, 2)),
            ),
            Fact::new("Identical answers", format!("{} of {} pairs", c.identical_answers, c.pairs)),
        ],
        plot: c.speedup.as_ref().filter(|s| s.point.is_finite() && s.point > 0.0).map_or_else(
            String::new,
            |s| {
                plot::certificate(
                    "certificate-plot",
                    s.point,
                    (s.lower, s.upper),
                    c.minimum_detectable_effect,
                )
            },
        ),
    }
}

/// How measurement stopped.
pub(crate) fn stopping<'a>(
    view: &RunView<'_>,
    rows: impl Iterator<Item = (usize, &'a BoardRow, Option<&'a CandidateLatencies>)>,
) -> StoppingView {
    let stopping = &view.plan.measurement.stopping;
    let (sessions, pairs) = match view.plan.extent {
        Extent::Full => (view.plan.measurement.sessions, view.plan.measurement.pairs),
        Extent::Quick => (view.plan.measurement.quick_sessions, view.plan.measurement.quick_pairs),
    };
    let mut rule = format!("Planned: {sessions} sessions of {pairs} pairs for every candidate.");
    match stopping.until_half_width {
        Some(width) => rule.push_str(&format!(
            " A candidate is stopped early once its interval's half-width is at most {}, or its case is decided; \
             the intervals are valid whenever it stops.",
            number::percent(width, 2)
        )),
        None if stopping.is_adaptive() => rule.push_str(
            " A candidate leaves once it is surely out of the race; the intervals are valid whenever it leaves.",
        ),
        None => rule.push_str(" The number was fixed beforehand; nothing was stopped for what it showed."),
    }
    if let Some(budget) = stopping.budget_s {
        rule.push_str(&format!(" No session starts after {} s.", number::significant(budget, 4)));
    }
    let rows = rows
        .map(|(index, row, latencies)| {
            let name = view.ranking.entries.get(index).map_or("", |e| e.name.as_str());
            let estimates = view.estimates.candidates.iter().find(|e| e.name == name);
            let half = estimates.and_then(|e| e.speedup.as_ref()).and_then(|s| {
                Some((s.upper?.ln() - s.lower?.ln()) / 2.0).filter(|h| h.is_finite()).map(f64::exp_m1)
            });
            let stop = estimates.and_then(|e| e.stopped.as_ref());
            let (begun, planned) = latencies.map_or((0, 0), |s| (s.sessions.len(), s.planned as usize));
            let why = match stop {
                Some(stop) => format!("{} ({} sessions saved)", visible(&stop.reason), stop.sessions_saved),
                None if begun < planned => "not all sessions were run".to_owned(),
                None => "all sessions were run".to_owned(),
            };
            StopRow {
                anchor: anchor(index),
                name: row.name.clone(),
                sessions: format!("{begun} of {planned}"),
                pairs: estimates.map_or_else(
                    || UNDEFINED.to_owned(),
                    |e| format!("{} of {}", e.counted.compared, e.counted.expected),
                ),
                half_width: number::optional(half, |h| format!("±{}", number::percent(h, 2))),
                why,
            }
        })
        .collect();
    StoppingView { rule, rows }
}

/// The methods in plain words, with this run's own settings.
pub(crate) fn methods(view: &RunView<'_>) -> Vec<Fact> {
    let (contest, estimates) = (view.contest, view.estimates);
    let level = number::percent(estimates.level, 0);
    let method = |pick: fn(&edgemaxx_contract::estimate::CandidateEstimates) -> Option<&Estimate>| {
        estimates.candidates.iter().find_map(pick).map(|e| visible(&e.method))
    };
    let named = |text: Option<String>| text.map_or_else(String::new, |t| format!(" Method: {t}."));
    let score = &contest.score;
    vec![
        Fact::new(
            "What is compared",
            format!(
                "{} The logarithm of their ratio is the unit of evidence. What an engine says of its own time is \
                 recorded and never scored.",
                of_task(view.plan.task).timing()
            ),
        ),
        Fact::new(
            "Why sessions",
            "A process can be fast or slow for its whole life. So both processes are started anew in every session, \
             in random order, warmed up, and then asked in pairs, in random order. Intervals rest on sessions, not \
             on single requests: counting requests as independent would claim differences that are not there.",
        ),
        Fact::new(
            "Speedup",
            format!(
                "exp of the mean log ratio, with a {level} interval.{} The outer interval holds for all candidates \
                 at once.{} Claims are adjusted for the number of candidates (Holm).",
                named(method(|c| c.speedup.as_ref())),
                named(method(|c| c.speedup_simultaneous.as_ref()))
            ),
        ),
        Fact::new(
            "A/A control",
            "The baseline is entered against itself like any candidate. If that difference is significant at 1%, the \
             run is unfit and sets no weights. Its interval is the noise floor; from it follows the smallest true \
             difference that a run of this size finds four times in five.",
        ),
        Fact::new(
            "Quality",
            format!(
                "Every pair's two answers are compared. A gate is passed when the one-sided {} bound proves it; not \
                 passing means not proven, so more samples help a good candidate and never hurt it.{}",
                number::percent(contest.quality.level, 0),
                named(method(|c| c.similarity.as_ref()))
            ),
        ),
        Fact::new(
            "Score",
            format!(
                "(proven speedup − 1) × quality factor. The proven speedup is the lower bound at {}; below {} it earns \
                 nothing. The factor is ((s − {gate}) / (1 − {gate})) to the power {}, where s is the lower bound of \
                 {}.",
                number::percent(score.level, 0),
                number::speedup(score.min_speedup),
                number::significant(score.similarity_exponent, 3),
                score.similarity.title(),
                gate = number::significant(score.similarity_gate, 3),
            ),
        ),
        Fact::new(
            "Tiers and weights",
            match contest.rewards.formula {
                RewardFormula::Tiers => format!(
                    "Candidates that cannot be told apart share a tier and its reward. The top tier gets {} of all, the \
                     next the same share of the rest.",
                    number::percent(contest.rewards.top_tier_share, 0)
                ),
                RewardFormula::Legacy2024 => {
                    "By rank, as the original subnet did in August 2024: 0.8·rⁱ, with r so \
                     that all shares sum to 1."
                        .to_owned()
                }
                RewardFormula::Geometric2025 => format!(
                    "By rank, as the original subnet did in February 2025: the first gets {} of all, each next one the \
                     same share of the rest.",
                    number::percent(contest.rewards.top_tier_share, 0)
                ),
            },
        ),
        Fact::new(
            "Nothing is dropped",
            "Failed requests, throttled samples and outliers are kept, marked and shown. Warm-up requests are \
             recorded and not analysed. A number that cannot be computed is shown as —, never as zero.",
        ),
    ]
}
