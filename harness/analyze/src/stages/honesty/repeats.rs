//! Whether a request that is asked again is answered from memory. As MLPerf's TEST04, but one after the other: the same
//! request again must not be faster.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Phase, RecordedSession};

use super::{LEVEL, Sessions, answered, unknown};
use crate::estimators::student;

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
    let Some(Found { ratio, most, sessions }) = found(&changes) else {
        return unknown("no request was repeated");
    };
    match most {
        Some(most) if most < CACHED => (
            HonestyVerdict::Failed,
            format!(
                "took {ratio:.3} of the first time (at most {most:.3} with {:.0}% confidence, {sessions} sessions): \
                 answered from memory; {answers}",
                100.0 * LEVEL,
            ),
        ),
        Some(_) => (
            HonestyVerdict::Passed,
            format!("took {ratio:.3} of the first time, {sessions} sessions; {answers}"),
        ),
        None => unknown(&format!(
            "took {ratio:.3} of the first time in fewer than {SESSIONS} sessions; {answers}"
        )),
    }
}

/// What a candidate's second times say.
struct Found {
    /// Second time over first, the baseline's own change taken off: geometric mean of sessions.
    ratio: f64,
    /// Its upper confidence bound, where enough sessions tell.
    most: Option<f64>,
    /// Sessions with a repeated request.
    sessions: usize,
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
    let most = student::upper_bound(&means, LEVEL).filter(|_| means.len() >= SESSIONS);
    Some(Found { ratio: student::mean(&means).exp(), most: most.map(f64::exp), sessions: means.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Seed, Stream};

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

    /// Share of runs whose candidate is called a cheat. One that remembers answers after a thousandth of the time.
    fn called(machine: Machine, remembers: bool, sessions: usize, repeats: usize) -> f64 {
        const RUNS: u64 = 2000;
        let run = |block: u64| {
            let mut stream = Seed::of("repeats").stream(block);
            let mut change = |own: f64| {
                let first = machine(&mut stream);
                own * machine(&mut stream) / first
            };
            let own = if remembers { 0.001 } else { 1.0 };
            let sessions: Vec<Vec<(f64, f64)>> =
                (0..sessions).map(|_| (0..repeats).map(|_| (change(1.0), change(own))).collect()).collect();
            found(&sessions).is_some_and(|found| found.most.is_some_and(|most| most < CACHED))
        };
        (0..RUNS).filter(|block| run(*block)).count() as f64 / RUNS as f64
    }

    #[test]
    fn honest_candidates_are_called_cheats_in_at_most_one_run_of_a_hundred_on_any_machine() {
        for (name, machine) in MACHINES {
            for (sessions, repeats) in [(2, 1), (2, 4), (3, 1), (3, 4), (5, 1), (8, 2), (20, 1)] {
                let rate = called(machine, false, sessions, repeats);
                // Three standard errors of 2,000 runs above one in a hundred.
                assert!(rate <= 0.0167, "{name}, {sessions} sessions of {repeats}: {rate}");
            }
        }
    }

    #[test]
    fn who_remembers_is_found() {
        for (name, machine) in MACHINES {
            assert!(called(machine, true, 8, 4) > 0.99, "{name}");
        }
        let quiet = MACHINES[0].1;
        assert!(called(quiet, true, 3, 1) == 1.0);
        assert!(called(quiet, true, 2, 4) == 0.0, "two sessions prove nothing");
    }
}
