//! The stage `rank`: estimates in, `ranking.json` out. The score is what is proven.

use edgemaxx_contract::contest::{Contest, ScoreSpec};
use edgemaxx_contract::day::BY_ENGINE;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::eligibility::weights_refused;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{
    CandidateEstimates, CertificateVerdict, Claim, Estimate, Estimates, GateEstimate, HonestyCheck,
    HonestyKind, HonestyVerdict, LimitEstimate,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Role;
use edgemaxx_contract::ranking::{RankEntry, Ranking, Standing};

use super::rewards;
use super::tiers::Order;
use crate::inference::earnings::QualityFactor;

#[cfg(test)]
mod tests;

/// Scores, tiers and shares of the reward.
pub fn rank(estimates: &Estimates, contest: &Contest, environment: &Environment) -> Ranking {
    let fit = estimates.certificate.verdict == CertificateVerdict::Fit;
    let mut scored: Vec<Scored<'_>> =
        estimates.candidates.iter().map(|candidate| Scored::of(candidate, contest)).collect();
    give_places_to_the_first(&mut scored, contest);
    mark_who_is_told_by_the_engine(&mut scored, contest);
    let (unordered, mut others): (Vec<Scored<'_>>, Vec<Scored<'_>>) =
        scored.into_iter().partition(|scored| scored.standing == Standing::Accepted);
    let proven: Vec<_> = unordered.iter().map(|scored| (scored.of, scored.score)).collect();
    let Order { places, tiers, scores, kept } = Order::of(&proven, estimates, contest);
    let mut unordered: Vec<Option<Scored<'_>>> = unordered.into_iter().map(Some).collect();
    let placed = |(&index, &score): (&usize, &f64)| {
        let scored = unordered[index].take()?;
        Some(Scored { score, ..scored })
    };
    let accepted: Vec<Scored<'_>> = places.iter().zip(&scores).filter_map(placed).collect();
    others.sort_by(|a, b| {
        let speed = |s: &Scored<'_>| s.of.speedup.as_ref().map_or(0.0, |speedup| speedup.point);
        a.standing.cmp(&b.standing).then(speed(b).total_cmp(&speed(a))).then(a.of.name.cmp(&b.of.name))
    });
    let shares = if fit { rewards::shares(&tiers, &contest.rewards) } else { vec![0.0; tiers.len()] };
    let leaders = tiers.iter().filter(|tier| **tier == 1).count();
    let winner = (fit && leaders == 1).then(|| accepted[0].of.name.clone());
    let verdict = verdict(estimates, &accepted, leaders, kept);
    let entries = accepted.into_iter().chain(others).enumerate().map(|(index, scored)| RankEntry {
        position: index as u32 + 1,
        name: scored.of.name.clone(),
        standing: scored.standing,
        reasons: scored.reasons,
        tier: tiers.get(index).copied(),
        score: scored.score,
        speedup_lower: scored.of.speedup.as_ref().and_then(|speedup| speedup.lower),
        quality_factor: scored.quality.map(|(lower, _)| lower),
        weight: shares.get(index).copied().unwrap_or(0.0),
    });
    Ranking {
        format: Ranking::expected_format(),
        estimates: Digest::of(estimates.to_json()),
        extent: estimates.extent,
        fitness: estimates.certificate.verdict,
        weights_refused: weights_refused(
            &estimates.certificate,
            contest.noise_floor,
            estimates.extent,
            environment,
        ),
        winner,
        verdict,
        entries: entries.collect(),
    }
}

/// A candidate with what it earns.
struct Scored<'a> {
    of: &'a CandidateEstimates,
    standing: Standing,
    reasons: Vec<String>,
    score: f64,
    /// Quality factor at the lower and upper bound of the similarity.
    quality: Option<(f64, f64)>,
}

impl<'a> Scored<'a> {
    fn of(candidate: &'a CandidateEstimates, contest: &Contest) -> Self {
        let quality = quality_factor(candidate.similarity.as_ref(), &contest.score);
        let (standing, reasons) = standing(candidate, contest, quality.is_some());
        let score = match (standing, quality) {
            (Standing::Accepted, Some((low, _))) => {
                gain(candidate.speedup.as_ref().and_then(|s| s.lower), 0.0) * low
            }
            _ => 0.0,
        };
        Self { of: candidate, standing, reasons, score, quality }
    }
}

/// Says of whom nobody can tell whether it has somebody else's weights.
fn mark_who_is_told_by_the_engine(scored: &mut [Scored<'_>], contest: &Contest) {
    let marked = |name: &str| contest.candidates.iter().any(|c| c.by_engine && c.name == name);
    for scored in scored.iter_mut().filter(|scored| marked(&scored.of.name)) {
        scored.reasons.push(BY_ENGINE.to_owned());
    }
}

/// Of those who repeat one another, the first that stands keeps the one place; an earlier one that does not stand takes
/// it from nobody.
fn give_places_to_the_first(scored: &mut [Scored<'_>], contest: &Contest) {
    // In the contest's order whoever is repeated is settled before who repeats.
    for candidate in contest.candidates.iter().filter(|candidate| !candidate.repeats.is_empty()) {
        let stands =
            |name: &&String| scored.iter().any(|s| s.of.name == **name && s.standing == Standing::Accepted);
        let Some(first) = candidate.repeats.iter().find(stands).cloned() else { continue };
        for copy in
            scored.iter_mut().filter(|s| s.of.name == candidate.name && s.standing == Standing::Accepted)
        {
            copy.standing = Standing::Copy;
            copy.reasons.push(format!("repeats {first}, which came earlier and stands"));
            copy.score = 0.0;
        }
    }
}

/// What a bound of the speedup is worth; `none` without one.
pub(super) fn gain(bound: Option<f64>, none: f64) -> f64 {
    bound.map_or(none, |speedup| (speedup - 1.0).max(0.0))
}

/// ((similarity − gate) / (1 − gate))^exponent at either bound; `None` where the score needs a
/// similarity that is not known.
pub(super) fn quality_factor(similarity: Option<&Estimate>, score: &ScoreSpec) -> Option<(f64, f64)> {
    if score.similarity_exponent == 0.0 {
        return Some((1.0, 1.0));
    }
    let similarity = similarity?;
    let factor = QualityFactor { gate: score.similarity_gate, exponent: score.similarity_exponent };
    Some((factor.at(similarity.lower?), factor.at(similarity.upper.unwrap_or(1.0))))
}

/// What became of a candidate, and why.
fn standing(candidate: &CandidateEstimates, contest: &Contest, has_quality: bool) -> (Standing, Vec<String>) {
    if candidate.role == Role::Control {
        return (Standing::Control, Vec::new());
    }
    // A pipeline must answer every request; leaving out the hard ones would be a way to be fast.
    let mut reasons = candidate.counts_for_nothing();
    if !reasons.is_empty() {
        return (Standing::Failed, reasons);
    }
    let missed = candidate.gates.iter().filter(|gate| !gate.passed);
    reasons.extend(missed.map(|gate| failed_gate(gate, candidate.unscored.as_deref())));
    reasons.extend(candidate.limits.iter().filter(|limit| !limit.passed).map(kept_limit));
    if !has_quality {
        let why = if candidate.similarity.is_some() {
            "has too few pairs for a bound"
        } else {
            "was not computed for every pair"
        };
        reasons.push(format!("{} {why}", contest.score.similarity));
    }
    if !reasons.is_empty() {
        return (Standing::RejectedQuality, reasons);
    }
    // What it did in the other side's time may be why the other side was slow: nobody knows how slow it made it.
    let disturbs = |check: &&HonestyCheck| matches!(check.what, HonestyKind::Idle | HonestyKind::GpuIdle);
    let doubts = candidate.found(HonestyVerdict::Doubtful).filter(disturbs);
    reasons
        .extend(doubts.map(|check| format!("its speed could come from what is doubtful: {}", check.detail)));
    if !reasons.is_empty() {
        return (Standing::NotFaster, reasons);
    }
    let lower = candidate.speedup.as_ref().and_then(|speedup| speedup.lower).unwrap_or(0.0);
    match candidate.claim {
        Claim::Faster if lower > 1.0 && lower >= contest.score.min_speedup => {
            return (Standing::Accepted, reasons);
        }
        Claim::Faster => reasons.push(format!(
            "its own lower bound, {lower:.3}×, is less than the {:.3}× that the contest asks for",
            contest.score.min_speedup
        )),
        Claim::Slower => reasons.push("proven slower than the baseline".to_owned()),
        Claim::Tie => reasons.push("not proven faster than the baseline".to_owned()),
        Claim::Ambiguous => reasons.push("the verdict is not the same without throttled samples".to_owned()),
    }
    (Standing::NotFaster, reasons)
}

fn failed_gate(gate: &GateEstimate, unscored: Option<&str>) -> String {
    let up = gate.metric.higher_is_better();
    let (wanted, side) = if up { ("at least", "lower") } else { ("at most", "upper") };
    let bound = gate.bound.as_ref().and_then(|bound| if up { bound.lower } else { bound.upper });
    let none = unscored.filter(|_| gate.metric.entry().scored).unwrap_or("too few pairs for a bound");
    let found = bound.map_or(none.to_owned(), |bound| format!("{side} bound {bound:.4}"));
    format!("{} of {}: {wanted} {} must be proven, {found}", gate.statistic, gate.metric, gate.threshold)
}

fn kept_limit(limit: &LimitEstimate) -> String {
    let found = match limit.ratio.as_ref().map(|ratio| ratio.upper) {
        None => "it was not measured".to_owned(),
        Some(None) => "too few sessions for a bound".to_owned(),
        Some(Some(upper)) => format!("upper bound {upper:.4}"),
    };
    format!("{}: at most {} times the baseline's must be proven, {found}", limit.of, limit.at_most)
}

fn verdict(estimates: &Estimates, scored: &[Scored<'_>], leaders: usize, kept: bool) -> String {
    if estimates.certificate.verdict == CertificateVerdict::Unfit {
        return format!("The run is unfit and has no winner: {}.", estimates.certificate.reason);
    }
    let name = |index: usize| scored[index].of.name.as_str();
    let proven = |index: usize| scored[index].of.claimed_speedup().and_then(|s| s.lower).unwrap_or(1.0);
    match leaders {
        0 => format!("No candidate is proven faster than {} at the quality asked for.", estimates.baseline),
        1 if kept => format!(
            "{} stays the winner: nobody is proven better; at least {:.2}× as fast as {}.",
            name(0),
            proven(0),
            estimates.baseline
        ),
        1 => format!("{} wins: at least {:.2}× as fast as {}.", name(0), proven(0), estimates.baseline),
        _ => {
            let names: Vec<&str> = (0..leaders).map(name).collect();
            format!("{} tie for the win: the data do not tell them apart.", names.join(", "))
        }
    }
}
