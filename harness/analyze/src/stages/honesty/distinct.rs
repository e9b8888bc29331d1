//! Whether different requests get different answers: who gives again what he answered to another one has not computed it.

use std::collections::BTreeMap;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::task::Ask;

use super::{LEVEL, Sessions, answered, unknown};
use crate::estimators::sign_test::chance;

/// Where so much speaks against chance, it is a lie.
const PROVEN: f64 = 0.999;

/// One request, and what it was answered.
#[derive(Debug, Clone, Copy)]
struct Answered<'a> {
    request: u32,
    ask: Option<&'a Ask>,
    candidate: Digest,
    baseline: Digest,
}

/// Different requests must get different answers where the baseline's differ; where honest answers coincide now and then,
/// they must not do so more often than the baseline's.
pub(super) fn check(plan: &Plan, sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let mut pairs = Vec::new();
    for (planned, recorded) in sessions {
        for (_, baseline, candidate) in recorded.complete_pairs(planned.pairs.len() as u32) {
            if let (Some((_, theirs)), Some((_, own))) = (answered(baseline), answered(candidate)) {
                let request = candidate.request;
                let ask = plan.requests.get(request as usize).map(|r| &r.ask);
                pairs.push(Answered { request, ask, candidate: own, baseline: theirs });
            }
        }
    }
    found(&pairs, plan.task.answers_coincide())
}

fn found(pairs: &[Answered<'_>], coincide: bool) -> (HonestyVerdict, String) {
    let again = given_again(pairs, |pair| (pair.candidate, pair.baseline));
    let Some((one, other)) = again.first() else {
        return match pairs.len() {
            0 | 1 => unknown("fewer than two answers"),
            answers => {
                let words = format!("no two different requests of {answers} got the same answer");
                (HonestyVerdict::Passed, words)
            }
        };
    };
    let words = format!("requests {one} and {other} ask for different things and got the same answer");
    if !coincide {
        return (HonestyVerdict::Failed, words);
    }
    // Of an honest candidate as often where only the baseline's differ as the other way round, by the sign test.
    let (own, theirs) = (again.len(), given_again(pairs, |pair| (pair.baseline, pair.candidate)).len());
    let words = format!(
        "{words}; so it was {own} times in {} where the baseline's differed (the other way round {theirs} times)",
        pairs.len()
    );
    let chance = chance(own as u32, (own + theirs) as u32);
    if chance <= 1.0 - PROVEN {
        return (HonestyVerdict::Failed, words);
    }
    if chance <= 1.0 - LEVEL {
        return (HonestyVerdict::Doubtful, words);
    }
    (HonestyVerdict::Passed, words)
}

/// Requests that got one side's answer to an earlier one that asks for something else, with that, where the other side's
/// two answers differ. `sides` gives the one side's answer and the other's.
fn given_again(pairs: &[Answered<'_>], sides: impl Fn(&Answered<'_>) -> (Digest, Digest)) -> Vec<(u32, u32)> {
    let mut first: BTreeMap<Digest, (&Answered<'_>, Digest)> = BTreeMap::new();
    let mut again = Vec::new();
    for pair in pairs {
        let (one, other) = sides(pair);
        let (before, differs) = *first.entry(one).or_insert((pair, other));
        if before.ask != pair.ask && differs != other {
            again.push((before.request, pair.request));
        }
    }
    again
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::Side;
    use edgemaxx_contract::sample::{Outcome, Phase, Record, RecordedSession};

    use super::*;
    use crate::stages::honesty::tests::some_plan;

    /// What is said where the candidate's answer to each request of the first session is that of `own`, and the baseline's
    /// that of `theirs`.
    fn answers(
        own: &dyn Fn(u32) -> u32,
        theirs: &dyn Fn(u32) -> u32,
        pairs: usize,
    ) -> (HonestyVerdict, String) {
        let mut run = some_plan();
        run.log.records.iter_mut().for_each(|record| {
            if let Record::Attempt(attempt) = record
                && let Outcome::Answered { answer, .. } = &mut attempt.outcome
            {
                let of = if attempt.side == Side::Candidate { own } else { theirs };
                *answer = Digest::of(of(attempt.request).to_string());
            }
        });
        let recorded = run.log.sessions(&run.plan);
        let first = recorded[0].attempts.iter().copied();
        let asked = first
            .filter(|a| matches!(a.phase, Phase::Measured { pair } if (pair as usize) < pairs))
            .collect();
        let only = RecordedSession { attempts: asked, ..RecordedSession::default() };
        check(&run.plan, &vec![(&run.plan.sessions[0], &only)])
    }

    #[test]
    fn one_answer_to_different_requests_is_a_lie_where_the_baseline_has_two() {
        let itself = |request: u32| request;
        let (found, said) = answers(&itself, &itself, 2);
        assert_eq!(
            (found, said.as_str()),
            (HonestyVerdict::Passed, "no two different requests of 2 got the same answer")
        );
        let (found, said) = answers(&|_| 7, &itself, 2);
        assert_eq!(found, HonestyVerdict::Failed);
        assert!(said.ends_with("ask for different things and got the same answer"), "{said}");
        // So does the baseline: then it is the model's.
        assert_eq!(answers(&|_| 7, &|_| 8, 2).0, HonestyVerdict::Passed);
        assert_eq!(answers(&itself, &itself, 1).1, "fewer than two answers");
        assert_eq!(answers(&itself, &itself, 0).0, HonestyVerdict::Unknown);
    }

    /// A short text is the same now and then, and whose sums are rounded otherwise meets another one there.
    #[test]
    fn answers_that_may_coincide_must_not_do_so_more_often_than_the_baselines() {
        use HonestyVerdict::{Doubtful, Failed, Passed};
        let asks: Vec<Ask> = some_plan().plan.requests.into_iter().map(|request| request.ask).collect();
        assert!(asks[0] != asks[1]);
        // The first is asked for one thing; each of the others for another, and is answered as the first or by itself.
        let said = |own: u32, theirs: u32| {
            let pair = |request: u32| Answered {
                request,
                ask: Some(&asks[usize::from(request > 0)]),
                candidate: Digest::of(if request <= own { 0 } else { request }.to_string()),
                baseline: Digest::of(if request <= own { request } else { 0 }.to_string()),
            };
            let pairs: Vec<Answered<'_>> = (0..=own + theirs).map(pair).collect();
            found(&pairs, true)
        };
        for (own, theirs, expected) in [
            (1, 0, Passed),
            (6, 0, Passed),
            (7, 0, Doubtful),
            (9, 0, Doubtful),
            (10, 0, Failed),
            (9, 2, Passed),
            (10, 2, Passed),
            (10, 1, Doubtful),
            (20, 20, Passed),
        ] {
            let (found, said) = said(own, theirs);
            assert_eq!(found, expected, "{own} and {theirs}: {said}");
        }
        let words = said(3, 2).1;
        let expected = "requests 0 and 1 ask for different things and got the same answer; so it was 3 times in 6 where the \
                        baseline's differed (the other way round 2 times)";
        assert_eq!(words, expected);
    }
}
