//! Whether different requests get different answers: who gives again what he answered to another one has not computed it.

use std::collections::BTreeMap;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Plan;

use super::{Sessions, answered, unknown};

/// Different requests must get different answers where the baseline's differ.
pub(super) fn check(plan: &Plan, sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let mut first: BTreeMap<Digest, (u32, Digest)> = BTreeMap::new();
    let (mut answers, mut twice) = (0u32, None);
    let ask = |request: u32| plan.requests.get(request as usize).map(|r| &r.ask);
    for (planned, recorded) in sessions {
        for (_, baseline, candidate) in recorded.complete_pairs(planned.pairs.len() as u32) {
            let (Some((_, theirs)), Some((_, own))) = (answered(baseline), answered(candidate)) else {
                continue;
            };
            answers += 1;
            let (request, other) = *first.entry(own).or_insert((candidate.request, theirs));
            if ask(request) != ask(candidate.request) && other != theirs {
                twice = twice.or(Some((request, candidate.request)));
            }
        }
    }
    match twice {
        Some((one, other)) => (
            HonestyVerdict::Failed,
            format!("requests {one} and {other} ask for different things and got the same answer"),
        ),
        None if answers < 2 => unknown("fewer than two answers"),
        None => {
            (HonestyVerdict::Passed, format!("no two different requests of {answers} got the same answer"))
        }
    }
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
}
