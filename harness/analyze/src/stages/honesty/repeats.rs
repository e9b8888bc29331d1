//! Whether a request that is asked again is answered from memory. As MLPerf's TEST04, but one after the other: the same
//! request again must not be faster.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Phase, RecordedSession};

use super::{LEVEL, Sessions, answered, unknown};
use crate::estimators::student;

/// Confidence, one-sided, at which a candidate is called a cheat: of a thousand honest ones at most one may be. At [`LEVEL`] it
/// is doubted.
const PROVEN: f64 = 0.999;
/// A repeated request proven to take less than this part of its first time, the baseline's own
/// change taken off, was answered from memory.
const CACHED: f64 = 0.9;
/// A second time below this part of the first counts as this part: how much less than nothing an answer in no time
/// took says nothing, and scatters beyond all bounds.
const LEAST: f64 = 0.1;
/// Two sessions that agree by chance prove anything; see the rates in this module's tests.
const SESSIONS: usize = 3;

/// A side's second time over its first; and whether the answer was the same.
fn change(session: &RecordedSession<'_>, pair: u32, side: Side) -> Option<(f64, bool)> {
    let again = session.attempts.iter().find(|a| a.side == side && a.phase == Phase::Repeat { pair })?;
    let first = session.measured(pair, side).filter(|first| first.launch == again.launch)?;
    let ((first_ns, first_answer), (again_ns, again_answer)) = (answered(first)?, answered(again)?);
    Some((again_ns / first_ns, first_answer == again_answer))
}

/// Says it of a candidate's sessions.
pub(super) fn check(sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let (mut changes, mut count, mut same) = (Vec::new(), 0u32, 0u32);
    for (planned, recorded) in sessions {
        let of_session = planned.repeats.iter().filter_map(|repeat| {
            let (baseline, _) = change(recorded, repeat.pair, Side::Baseline)?;
            let (candidate, equal) = change(recorded, repeat.pair, Side::Candidate)?;
            (count, same) = (count + 1, same + u32::from(equal));
            Some((baseline, candidate))
        });
        changes.push(of_session.collect());
    }
    let answers = format!("{same} of {count} gave the same answer");
    let Some(found) = found(&changes) else {
        return unknown("no request was repeated");
    };
    let (ratio, sessions) = (found.ratio, found.means.len());
    let at_most = |most: f64, level: f64| {
        let percent = 100.0 * level;
        format!(
            "took {ratio:.3} of the first time (at most {most:.3} with {percent}% confidence, {sessions} sessions)"
        )
    };
    match (found.verdict(), found.most(PROVEN), found.most(LEVEL)) {
        (HonestyVerdict::Failed, Some(most), _) => {
            (HonestyVerdict::Failed, format!("{}: answered from memory; {answers}", at_most(most, PROVEN)))
        }
        (HonestyVerdict::Doubtful, _, Some(most)) => {
            (HonestyVerdict::Doubtful, format!("{}; {answers}", at_most(most, LEVEL)))
        }
        (HonestyVerdict::Unknown, ..) => unknown(&format!(
            "took {ratio:.3} of the first time in fewer than {SESSIONS} sessions; {answers}"
        )),
        (verdict, ..) => {
            (verdict, format!("took {ratio:.3} of the first time, {sessions} sessions; {answers}"))
        }
    }
}

/// What a candidate's second times say.
struct Found {
    /// Second time over first, the baseline's own change taken off: geometric mean of sessions.
    ratio: f64,
    /// Its logarithm in each session with a repeated request.
    means: Vec<f64>,
}

impl Found {
    /// The ratio's upper confidence bound, where enough sessions tell.
    fn most(&self, level: f64) -> Option<f64> {
        student::upper_bound(&self.means, level).filter(|_| self.means.len() >= SESSIONS).map(f64::exp)
    }

    fn verdict(&self) -> HonestyVerdict {
        let proven = |level: f64| self.most(level).map(|most| most < CACHED);
        match (proven(PROVEN), proven(LEVEL)) {
            (Some(true), _) => HonestyVerdict::Failed,
            (_, Some(true)) => HonestyVerdict::Doubtful,
            (_, Some(false)) => HonestyVerdict::Passed,
            (_, None) => HonestyVerdict::Unknown,
        }
    }
}

/// Of each session, the changes of (baseline, candidate). In logarithms: a machine's noise makes second times shorter
/// as often as longer, and so much for the logarithms' means, where the means of ratios are skewed.
fn found(sessions: &[Vec<(f64, f64)>]) -> Option<Found> {
    let change = |(baseline, candidate): &(f64, f64)| candidate.max(LEAST).ln() - baseline.max(LEAST).ln();
    let means: Vec<f64> = sessions
        .iter()
        .filter(|changes| !changes.is_empty())
        .map(|changes| student::mean(&changes.iter().map(change).collect::<Vec<_>>()))
        .collect();
    if means.is_empty() {
        return None;
    }
    Some(Found { ratio: student::mean(&means).exp(), means })
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::plan::{Extent, PlannedRepeat};
    use edgemaxx_contract::sample::{Attempt, Outcome};

    use super::*;
    use crate::random::{Seed, Stream};
    use crate::stages::tests::simulated::noisy_run;

    /// How long a request takes that takes 1 by itself.
    type Machine = fn(&mut Stream) -> f64;

    fn exponential(stream: &mut Stream) -> f64 {
        -stream.uniform().ln()
    }

    /// Machines from quiet to ten times busier than their processors: what a process waits for is added, seldom or
    /// often, a little or many times the request's own time.
    const MACHINES: [(&str, Machine); 5] = [
        ("quiet", |s| 1.0 + 0.02 * s.normal()),
        ("scattered", |s| (0.3 * s.normal()).exp()),
        ("wildly scattered", |s| s.normal().exp()),
        ("stalls", |s| 1.0 + if s.chance(0.3) { 5.0 * exponential(s) } else { 0.0 }),
        ("ten times busier", |s| 0.3 + exponential(s) * if s.chance(0.1) { 10.0 } else { 1.0 }),
    ];

    /// Shares of runs whose candidate fails, and is doubted. One that remembers answers after a thousandth of the time.
    fn rates(machine: Machine, remembers: bool, sessions: usize, repeats: usize, runs: u64) -> (f64, f64) {
        let mut seen = [0u32; 2];
        for block in 0..runs {
            let mut stream = Seed::of("repeats").stream(block);
            let mut change = |own: f64| {
                let first = machine(&mut stream);
                own * machine(&mut stream) / first
            };
            let own = if remembers { 0.001 } else { 1.0 };
            let sessions: Vec<Vec<(f64, f64)>> =
                (0..sessions).map(|_| (0..repeats).map(|_| (change(1.0), change(own))).collect()).collect();
            match found(&sessions).map(|found| found.verdict()) {
                Some(HonestyVerdict::Failed) => seen[0] += 1,
                Some(HonestyVerdict::Doubtful) => seen[1] += 1,
                _ => {}
            }
        }
        (f64::from(seen[0]) / runs as f64, f64::from(seen[1]) / runs as f64)
    }

    #[test]
    fn of_a_thousand_honest_candidates_at_most_one_is_called_a_cheat_on_any_machine() {
        for (name, machine) in MACHINES {
            for (sessions, repeats) in [(2, 1), (2, 4), (3, 1), (3, 4), (5, 1), (8, 2), (20, 1)] {
                let (failed, doubtful) = rates(machine, false, sessions, repeats, 3000);
                // Three standard errors of 3,000 runs above one in a thousand and one in a hundred.
                assert!(failed <= 0.0028, "{name}, {sessions} sessions of {repeats}: {failed}");
                assert!(failed + doubtful <= 0.0155, "{name}, {sessions} sessions of {repeats}: {doubtful}");
            }
        }
    }

    #[test]
    fn who_remembers_is_found() {
        for (name, machine) in MACHINES {
            for (sessions, repeats) in [(8, 4), (20, 1)] {
                let (failed, _) = rates(machine, true, sessions, repeats, 500);
                assert!(failed > 0.99, "{name}, {sessions} sessions of {repeats}: {failed}");
            }
        }
        // As many as the demo's contest has, on a machine that does a little beside.
        assert!(rates(MACHINES[1].1, true, 5, 2, 500).0 > 0.99);
        let quiet = MACHINES[0].1;
        assert!(rates(quiet, true, 3, 1, 500).0 == 1.0);
        assert!(rates(quiet, true, 2, 4, 500) == (0.0, 0.0), "two sessions prove nothing");
    }

    /// What is said where the pairs of each session are asked again, two by two, and take so many times their first time:
    /// (baseline, candidate). The last answer is another one.
    fn asked_again(changes: &[[(u64, u64); 2]], relaunched: bool) -> (HonestyVerdict, String) {
        let run = noisy_run("again", Extent::Full, |_, _| {});
        let recorded = run.log.sessions(&run.plan);
        let own = run.plan.sessions.iter().filter(|session| session.candidate == "quick");
        let mut planned: Vec<_> = own.take(changes.len()).cloned().collect();
        let mut attempts: Vec<Vec<Attempt>> = Vec::new();
        for (session, changes) in planned.iter_mut().zip(changes) {
            session.repeats = [1, 3].map(|pair| PlannedRepeat { pair, first: None }).into();
            let firsts = &recorded[session.index as usize].attempts;
            let mut all: Vec<Attempt> = Vec::new();
            for &first in firsts {
                let mut first = first.clone();
                let Phase::Measured { pair } = first.phase else { continue };
                let Outcome::Answered { latency_ns, .. } = &mut first.outcome else { continue };
                let own = if first.side == Side::Candidate { 500_000 } else { 2_000_000 };
                *latency_ns = own * u64::from(pair + 1);
                let latency = *latency_ns;
                all.push(first.clone());
                if let Some(at) = session.repeats.iter().position(|repeat| repeat.pair == pair) {
                    let times = if first.side == Side::Candidate { changes[at].1 } else { changes[at].0 };
                    let mut again = first;
                    again.phase = Phase::Repeat { pair };
                    again.launch += u32::from(relaunched);
                    if let Outcome::Answered { latency_ns, .. } = &mut again.outcome {
                        *latency_ns = latency * times / 100;
                    }
                    all.push(again);
                }
            }
            attempts.push(all);
        }
        let last = attempts.iter_mut().flatten().rfind(|attempt| {
            attempt.side == Side::Candidate && matches!(attempt.phase, Phase::Repeat { .. })
        });
        if let Some(Attempt { outcome: Outcome::Answered { answer, .. }, .. }) = last {
            *answer = Digest::of("another");
        }
        let recorded: Vec<RecordedSession<'_>> = attempts
            .iter()
            .map(|attempts| RecordedSession {
                attempts: attempts.iter().collect(),
                ..RecordedSession::default()
            })
            .collect();
        check(&planned.iter().zip(&recorded).collect())
    }

    #[test]
    fn second_times_are_told_against_the_first_and_the_baselines_own_change() {
        use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
        // Geometric means of 40% and 90% over 80% and 80%: 0.75; of the others likewise.
        for (changes, verdict, words) in [
            (
                vec![[(80, 40), (80, 90)]; 3],
                Failed,
                "took 0.750 of the first time (at most 0.750 with 99.9% confidence, 3 sessions): answered from memory; \
                 5 of 6 gave the same answer",
            ),
            (
                vec![[(100, 72); 2], [(100, 75); 2], [(100, 78); 2]],
                Doubtful,
                "took 0.750 of the first time (at most 0.880 with 99% confidence, 3 sessions); 5 of 6 gave the same answer",
            ),
            (
                vec![[(100, 100), (50, 50)]; 4],
                Passed,
                "took 1.000 of the first time, 4 sessions; 7 of 8 gave the same answer",
            ),
            (
                vec![[(80, 40), (80, 90)]; 2],
                Unknown,
                "took 0.750 of the first time in fewer than 3 sessions; 3 of 4 gave the same answer",
            ),
            (vec![], Unknown, "no request was repeated"),
        ] {
            let (found, said) = asked_again(&changes, false);
            assert!(found == verdict && said.contains(words), "{verdict:?} {words}: {found:?} {said}");
        }
        // Another process answered the first time.
        assert_eq!(asked_again(&[[(80, 40), (80, 90)]; 3], true).1, "no request was repeated");
    }

    #[test]
    fn who_takes_as_little_as_is_allowed_passes() {
        let found = |most: f64| Found { ratio: most, means: vec![most.ln(); 4] };
        assert_eq!(found(CACHED).most(PROVEN), Some(CACHED));
        assert_eq!(found(CACHED).verdict(), HonestyVerdict::Passed);
        assert_eq!(found(CACHED - 1e-9).verdict(), HonestyVerdict::Failed);
    }
}
