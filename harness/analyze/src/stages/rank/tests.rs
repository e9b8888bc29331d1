//! What becomes of each candidate, why, and what it earns: estimates changed by hand, one thing at a time.

use edgemaxx_contract::contest::Cost;
use edgemaxx_contract::estimate::FailureCount;
use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::sample::FailureKind;

use super::super::tests::simulated::{CONFINED, environment, estimates, noisy_run};
use super::*;

/// Estimates of `quick`, `quick-too` (both 3.3 times as fast), `middling` (twice), `ugly`, `broken` and a control.
fn ground() -> (Estimates, Contest) {
    let run = noisy_run("run", Extent::Full, |_, _| {});
    (estimates(&run), run.contest)
}

fn one<'a>(estimates: &'a mut Estimates, name: &str) -> &'a mut CandidateEstimates {
    estimates.candidates.iter_mut().find(|candidate| candidate.name == name).unwrap()
}

fn ranked(estimates: &Estimates, contest: &Contest) -> Ranking {
    rank(estimates, contest, &environment(CONFINED))
}

fn entry<'a>(ranking: &'a Ranking, name: &str) -> &'a RankEntry {
    ranking.entries.iter().find(|entry| entry.name == name).unwrap()
}

fn bound(lower: Option<f64>, upper: Option<f64>) -> Estimate {
    Estimate { point: 1.0, lower, upper, method: "by hand".to_owned(), n: 30, level: 0.95 }
}

fn check(what: HonestyKind, verdict: HonestyVerdict) -> HonestyCheck {
    HonestyCheck { what, verdict, detail: "seen".to_owned() }
}

#[test]
fn everyone_stands_where_what_is_known_puts_them() {
    type Change = fn(&mut CandidateEstimates);
    let cases: [(Change, Standing, &str); 24] = [
        (|_| {}, Standing::Accepted, ""),
        (
            |c| {
                let first = "gone".to_owned();
                c.failures.push(FailureCount { kind: FailureKind::Died, count: 2, first });
            },
            Standing::Failed,
            "died 2 time(s): gone",
        ),
        (|c| c.speedup = None, Standing::Failed, "no complete pair"),
        (
            |c| c.honesty.push(check(HonestyKind::Load, HonestyVerdict::Failed)),
            Standing::Failed,
            "Work in loading: seen",
        ),
        (
            |c| c.gates[0].passed = false,
            Standing::RejectedQuality,
            "mean of clip_image_cosine: at least 0.85 must be proven, lower bound 0.",
        ),
        (
            |c| (c.gates[0].passed, c.gates[0].bound) = (false, Some(bound(Some(0.8), Some(0.9)))),
            Standing::RejectedQuality,
            "must be proven, lower bound 0.8000",
        ),
        (
            |c| (c.gates[0].passed, c.gates[0].bound) = (false, None),
            Standing::RejectedQuality,
            "must be proven, too few pairs for a bound",
        ),
        (
            |c| c.limits.push(limit(None, false)),
            Standing::RejectedQuality,
            "at most 1.5 times the baseline's must be proven, it was not measured",
        ),
        (
            |c| c.limits.push(limit(Some(bound(None, None)), false)),
            Standing::RejectedQuality,
            "must be proven, too few sessions for a bound",
        ),
        (
            |c| c.limits.push(limit(Some(bound(Some(1.2), Some(1.7))), false)),
            Standing::RejectedQuality,
            "must be proven, upper bound 1.7000",
        ),
        (|c| c.limits.push(limit(Some(bound(Some(1.2), Some(1.4))), true)), Standing::Accepted, ""),
        (
            |c| c.similarity = None,
            Standing::RejectedQuality,
            "clip_image_cosine was not computed for every pair",
        ),
        (
            |c| c.similarity = Some(bound(None, None)),
            Standing::RejectedQuality,
            "clip_image_cosine has too few pairs for a bound",
        ),
        (
            |c| c.honesty.push(check(HonestyKind::Idle, HonestyVerdict::Doubtful)),
            Standing::NotFaster,
            "its speed could come from what is doubtful: seen",
        ),
        (
            |c| c.honesty.push(check(HonestyKind::GpuIdle, HonestyVerdict::Doubtful)),
            Standing::NotFaster,
            "its speed could come from what is doubtful: seen",
        ),
        (|c| c.honesty.push(check(HonestyKind::Clocks, HonestyVerdict::Doubtful)), Standing::Accepted, ""),
        (|c| c.honesty.push(check(HonestyKind::Idle, HonestyVerdict::Unknown)), Standing::Accepted, ""),
        (|c| lower(c, Some(1.02)), Standing::Accepted, ""),
        (
            |c| lower(c, Some(1.019)),
            Standing::NotFaster,
            "its own lower bound, 1.019×, is less than the 1.020× that the contest asks for",
        ),
        (|c| lower(c, None), Standing::NotFaster, "its own lower bound, 0.000×, is less than the 1.020×"),
        (|c| c.claim = Claim::Slower, Standing::NotFaster, "proven slower than the baseline"),
        (|c| c.claim = Claim::Tie, Standing::NotFaster, "not proven faster than the baseline"),
        (
            |c| c.claim = Claim::Ambiguous,
            Standing::NotFaster,
            "the verdict is not the same without throttled samples",
        ),
        (|c| c.role = Role::Control, Standing::Control, ""),
    ];
    let (estimates, contest) = ground();
    for (number, (change, standing, words)) in cases.into_iter().enumerate() {
        let mut changed = estimates.clone();
        change(one(&mut changed, "quick"));
        let ranking = ranked(&changed, &contest);
        let found = entry(&ranking, "quick");
        assert_eq!(found.standing, standing, "{number}: {:?}", found.reasons);
        let reasons = found.reasons.join("; ");
        assert!(
            if words.is_empty() { reasons.is_empty() } else { reasons.contains(words) },
            "{number}: {reasons}"
        );
        let accepted = standing == Standing::Accepted;
        assert_eq!(
            (found.score > 0.0, found.weight > 0.0, found.tier.is_some()),
            (accepted, accepted, accepted)
        );
    }
    // A contest that asks for nothing does not accept who is proven to be no slower only.
    let (mut estimates, mut contest) = (estimates, contest);
    contest.score.min_speedup = 1.0;
    lower(one(&mut estimates, "quick"), Some(1.0));
    assert_eq!(entry(&ranked(&estimates, &contest), "quick").standing, Standing::NotFaster);
}

fn limit(ratio: Option<Estimate>, passed: bool) -> LimitEstimate {
    LimitEstimate { of: Cost::Energy, at_most: 1.5, ratio, passed }
}

fn lower(candidate: &mut CandidateEstimates, to: Option<f64>) {
    candidate.speedup.as_mut().unwrap().lower = to;
}

#[test]
fn who_leads_says_so_in_a_sentence() {
    let (mut estimates, mut contest) = ground();
    let said = |estimates: &Estimates, contest: &Contest| {
        let ranking = ranked(estimates, contest);
        (ranking.winner, ranking.verdict)
    };
    one(&mut estimates, "broken").claim = Claim::Tie;
    let (winner, verdict) = said(&estimates, &contest);
    assert_eq!(winner, None);
    assert!(verdict.starts_with("quick") && verdict.contains(", quick"), "{verdict}");
    assert!(verdict.ends_with("tie for the win: the data do not tell them apart."), "{verdict}");
    one(&mut estimates, "quick-too").claim = Claim::Tie;
    let quick = one(&mut estimates, "quick");
    lower(quick, Some(3.125));
    quick.speedup_simultaneous.clone_from(&quick.speedup);
    let wins = "quick wins: at least 3.12× as fast as teacher.";
    assert_eq!(said(&estimates, &contest), (Some("quick".to_owned()), wins.to_owned()));
    one(&mut estimates, "quick-too").claim = Claim::Faster;
    contest.incumbent = Some("quick-too".to_owned());
    let (winner, verdict) = said(&estimates, &contest);
    assert_eq!(winner.as_deref(), Some("quick-too"));
    assert!(
        verdict.starts_with("quick-too stays the winner: nobody is proven better; at least 3."),
        "{verdict}"
    );
    for candidate in &mut estimates.candidates {
        candidate.claim = Claim::Tie;
    }
    let nobody = "No candidate is proven faster than teacher at the quality asked for.";
    assert_eq!(said(&estimates, &contest), (None, nobody.to_owned()));
    estimates.certificate.verdict = CertificateVerdict::Unfit;
    estimates.certificate.reason = "two clocks".to_owned();
    assert_eq!(
        said(&estimates, &contest),
        (None, "The run is unfit and has no winner: two clocks.".to_owned())
    );
}

#[test]
fn an_unfit_run_pays_nobody_and_orders_all_the_same() {
    let (mut estimates, contest) = ground();
    let fit = ranked(&estimates, &contest);
    estimates.certificate.verdict = CertificateVerdict::Unfit;
    let unfit = ranked(&estimates, &contest);
    assert_eq!((unfit.winner, unfit.fitness), (None, CertificateVerdict::Unfit));
    assert!(unfit.weights_refused.is_some() && fit.weights_refused.is_none());
    for (fit, unfit) in fit.entries.iter().zip(&unfit.entries) {
        assert_eq!(
            (&fit.name, fit.tier, fit.score, 0.0),
            (&unfit.name, unfit.tier, unfit.score, unfit.weight)
        );
    }
    assert!(fit.entries.iter().map(|entry| entry.position).eq(1..=6));
}

/// Who is proven to earn more has proven at least what those below it have, whatever its own bound says.
#[test]
fn scores_fall_with_the_tiers() {
    let (mut estimates, contest) = ground();
    one(&mut estimates, "broken").claim = Claim::Tie;
    for name in ["quick", "quick-too"] {
        lower(one(&mut estimates, name), Some(1.5));
    }
    let ranking = ranked(&estimates, &contest);
    let middling = entry(&ranking, "middling");
    assert_eq!((middling.tier, middling.position), (Some(2), 3));
    let by_hand = middling.quality_factor.unwrap() * (middling.speedup_lower.unwrap() - 1.0);
    assert!((middling.score - by_hand).abs() < 1e-12 && by_hand > 0.6, "{by_hand}");
    assert_eq!((entry(&ranking, "quick").score, entry(&ranking, "quick-too").score), (by_hand, by_hand));
}

#[test]
fn those_who_are_not_accepted_come_by_why_then_by_speed_then_by_name() {
    let (mut estimates, contest) = ground();
    for (name, claim) in [("quick", Claim::Tie), ("quick-too", Claim::Slower), ("middling", Claim::Tie)] {
        one(&mut estimates, name).claim = claim;
    }
    one(&mut estimates, "quick-too").speedup = one(&mut estimates, "quick").speedup.clone();
    one(&mut estimates, "broken").speedup = None;
    let order = |estimates: &Estimates| {
        let ranking = ranked(estimates, &contest);
        ranking.entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(order(&estimates), ["quick", "quick-too", "middling", "ugly", "broken", "clone"]);
    // Without a speed it comes behind who has one.
    let died = FailureCount { kind: FailureKind::Died, count: 1, first: String::new() };
    one(&mut estimates, "middling").failures.push(died);
    assert_eq!(order(&estimates), ["quick", "quick-too", "ugly", "middling", "broken", "clone"]);
}

#[test]
fn of_those_who_repeat_one_another_the_first_that_stands_is_paid() {
    let (mut estimates, mut contest) = ground();
    let copy = contest.candidates.iter_mut().find(|candidate| candidate.name == "quick-too").unwrap();
    copy.repeats = vec!["broken".to_owned(), "quick".to_owned()];
    one(&mut estimates, "broken").claim = Claim::Tie;
    let found = ranked(&estimates, &contest);
    let copy = entry(&found, "quick-too");
    assert_eq!((copy.standing, copy.score, copy.weight), (Standing::Copy, 0.0, 0.0));
    assert_eq!(copy.reasons, ["repeats quick, which came earlier and stands"]);
    assert_eq!(found.winner.as_deref(), Some("quick"));
    // The others are nobody's copies, and who does not stand takes the place from nobody.
    assert_eq!(entry(&found, "middling").standing, Standing::Accepted);
    one(&mut estimates, "quick").claim = Claim::Tie;
    assert_eq!(entry(&ranked(&estimates, &contest), "quick-too").standing, Standing::Accepted);
    // A repeater that does not stand for a reason of its own keeps that.
    one(&mut estimates, "quick").claim = Claim::Faster;
    one(&mut estimates, "quick-too").claim = Claim::Slower;
    let kept = ranked(&estimates, &contest);
    assert_eq!(entry(&kept, "quick-too").reasons, ["proven slower than the baseline"]);
}

#[test]
fn who_is_told_by_its_engine_alone_is_marked_and_nobody_else() {
    let (estimates, mut contest) = ground();
    contest.candidates.iter_mut().find(|candidate| candidate.name == "middling").unwrap().by_engine = true;
    let found = ranked(&estimates, &contest);
    let marked = found.entries.iter().filter(|entry| entry.reasons.iter().any(|why| why == BY_ENGINE));
    assert_eq!(marked.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["middling"]);
}

#[test]
fn a_bound_is_worth_what_lies_above_one() {
    assert_eq!([gain(Some(1.5), 0.0), gain(Some(0.5), 0.0), gain(None, 0.25)], [0.5, 0.0, 0.25]);
    let (_, contest) = ground();
    let score = &contest.score;
    // ((s − .75) / .25)^.25 at both ends; without an upper end, at 1.
    let found = quality_factor(Some(&bound(Some(0.8), Some(0.9))), score).unwrap();
    assert!((found.0 - 0.2f64.powf(0.25)).abs() < 1e-12 && (found.1 - 0.6f64.powf(0.25)).abs() < 1e-12);
    assert_eq!(quality_factor(Some(&bound(Some(0.8), None)), score).unwrap().1, 1.0);
    assert_eq!(quality_factor(Some(&bound(None, Some(0.9))), score), None);
    assert_eq!(quality_factor(None, score), None);
    let unasked = ScoreSpec { similarity_exponent: 0.0, ..score.clone() };
    assert_eq!(quality_factor(None, &unasked), Some((1.0, 1.0)));
}
