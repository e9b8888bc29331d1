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
}
