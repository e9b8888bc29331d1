//! How far answers lie above the least time that any engine needs for them.

use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{AboveFloor, HonestyVerdict};
use edgemaxx_contract::floor::Floor;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Outcome, Phase, RecordedSession};

/// What each answer of one side took, nanoseconds, and its floor; `None`: nobody knows what they need.
fn answers(
    environment: Option<&Environment>,
    (pipeline, side): (&str, Side),
    sessions: &[(u32, &RecordedSession<'_>)],
) -> Option<Vec<(f64, Floor)>> {
    let (work, peaks) = (environment?.work.get(pipeline)?, environment?.peaks.as_ref()?);
    let attempts = sessions.iter().flat_map(|(_, recorded)| &recorded.attempts);
    let own =
        attempts.filter(|attempt| attempt.side == side && matches!(attempt.phase, Phase::Measured { .. }));
    let answered = own.filter_map(|attempt| match attempt.outcome {
        Outcome::Answered { latency_ns, units, .. } => Some((latency_ns.max(1) as f64, units)),
        Outcome::Failed(_) => None,
    });
    let with_floor = answered.map(|(latency, units)| Some((latency, work.floor(peaks, units)?)));
    let found: Option<Vec<(f64, Floor)>> = with_floor.collect();
    found.filter(|found| !found.is_empty() && found.iter().all(|(_, floor)| floor.declared_ns > 0.0))
}

/// The distance of a candidate's answers to the floor.
pub(super) fn above(
    environment: Option<&Environment>,
    candidate: &str,
    sessions: &[(u32, &RecordedSession<'_>)],
) -> Option<AboveFloor> {
    let answers = answers(environment, (candidate, Side::Candidate), sessions)?;
    let count = answers.len() as f64;
    let mean = |of: fn(&Floor) -> f64| answers.iter().map(|(_, floor)| of(floor)).sum::<f64>() / count;
    let times = |(latency, floor): &(f64, Floor)| latency / floor.declared_ns;
    Some(AboveFloor {
        declared_ms: mean(|floor| floor.declared_ns) / 1e6,
        lowest_ms: mean(|floor| floor.lowest_ns) / 1e6,
        times: (answers.iter().map(|answer| times(answer).ln()).sum::<f64>() / count).exp(),
        least_times: answers.iter().map(times).fold(f64::INFINITY, f64::min),
    })
}

/// Whether an answer came sooner than any engine could have made it. Below the floor at the lowest precision nothing
/// honest lies; below that at the declared one, an engine that computes otherwise than it says, or better than the
/// device was measured to. A floor that the baseline itself undercuts beside the candidate is none: it may be scripted,
/// or the device was busy while it was measured.
pub(super) fn check(
    environment: Option<&Environment>,
    (baseline, candidate): (&str, &str),
    sessions: &[(u32, &RecordedSession<'_>)],
) -> (HonestyVerdict, String) {
    let known = answers(environment, (baseline, Side::Baseline), sessions);
    if known.is_some_and(|answers| answers.iter().any(|(latency, floor)| *latency < floor.declared_ns)) {
        let why = "the baseline itself came sooner than what was measured of this device allows";
        return (HonestyVerdict::Unknown, why.to_owned());
    }
    let Some(answers) = answers(environment, (candidate, Side::Candidate), sessions) else {
        let why = "what an answer needs at least is not known of this checkpoint, or of this device";
        return (HonestyVerdict::Unknown, why.to_owned());
    };
    let below =
        |of: fn(&Floor) -> f64| answers.iter().filter(|(latency, floor)| *latency < of(floor)).count();
    let words = |count: usize, which: &str, of: fn(&Floor) -> f64| {
        let share = |(latency, floor): &(f64, Floor)| latency / of(floor);
        let least = answers.iter().map(share).fold(f64::INFINITY, f64::min);
        format!(
            "{count} of {} answers came sooner than any engine can make them at the {which} precision, the soonest in {least:.3} of the time",
            answers.len()
        )
    };
    let (lowest, declared) = (below(|floor| floor.lowest_ns), below(|floor| floor.declared_ns));
    if lowest > 0 {
        return (HonestyVerdict::Failed, words(lowest, "lowest", |floor| floor.lowest_ns));
    }
    if declared > 0 {
        return (HonestyVerdict::Doubtful, words(declared, "declared", |floor| floor.declared_ns));
    }
    let nearest = answers.iter().map(|(latency, floor)| latency / floor.declared_ns);
    let nearest = nearest.fold(f64::INFINITY, f64::min);
    (HonestyVerdict::Passed, format!("every answer took at least {nearest:.2} times what any engine needs"))
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::sample::{Attempt, Failure, FailureKind};

    use super::super::tests::simulated::device;
    use super::*;

    fn attempt((side, phase, latency_ns): (Side, Phase, Option<u64>)) -> Attempt {
        let failed = || Outcome::Failed(Failure { kind: FailureKind::Died, detail: String::new() });
        let answered = |latency_ns| Outcome::Answered {
            latency_ns,
            first_ns: None,
            units: 1,
            parts: Vec::new(),
            answer: Digest::of("a"),
            engine_ns: None,
        };
        Attempt {
            session: 0,
            launch: 0,
            side,
            phase,
            request: 0,
            started_ns: 0,
            cpu_ns: None,
            outcome: latency_ns.map_or_else(failed, answered),
            marks: Vec::new(),
        }
    }

    const MEASURED: Phase = Phase::Measured { pair: 0 };

    /// What is found where both sides' answers took so long, beside some that count for nothing.
    fn found(
        work: &[(&str, u64)],
        theirs: u64,
        own: &[u64],
    ) -> ((HonestyVerdict, String), Option<AboveFloor>) {
        let mut told = vec![
            (Side::Baseline, MEASURED, Some(theirs)),
            (Side::Candidate, Phase::Warmup { index: 0 }, Some(1)),
            (Side::Candidate, Phase::Repeat { pair: 0 }, Some(1)),
            (Side::Candidate, MEASURED, None),
        ];
        told.extend(own.iter().map(|latency| (Side::Candidate, MEASURED, Some(*latency))));
        let attempts: Vec<Attempt> = told.into_iter().map(attempt).collect();
        let recorded = RecordedSession { attempts: attempts.iter().collect(), ..RecordedSession::default() };
        let (device, sessions) = (device(work), [(0, &recorded)]);
        (check(Some(&device), ("b", "c"), &sessions), above(Some(&device), "c", &sessions))
    }

    #[test]
    fn an_answer_at_the_floor_is_possible_and_one_below_is_not() {
        use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
        let work: &[(&str, u64)] = &[("b", 4000), ("c", 1000)];
        let sooner = "of 3 answers came sooner than any engine can make them at the";
        for (theirs, own, verdict, words) in [
            (4000, [1000, 2000, 1000], Passed, "every answer took at least 1.00 times what".to_owned()),
            (4000, [1500, 2000, 4000], Passed, "every answer took at least 1.50 times what".to_owned()),
            (
                4000,
                [500, 2000, 999],
                Doubtful,
                format!("2 {sooner} declared precision, the soonest in 0.500 of"),
            ),
            (
                4000,
                [125, 2000, 2000],
                Doubtful,
                format!("1 {sooner} declared precision, the soonest in 0.125 of"),
            ),
            (4000, [124, 2000, 100], Failed, format!("2 {sooner} lowest precision, the soonest in 0.800 of")),
            (3999, [100, 2000, 2000], Unknown, "the baseline itself came sooner".to_owned()),
        ] {
            let (found, said) = found(work, theirs, &own).0;
            assert_eq!(found, verdict, "{own:?}: {said}");
            assert!(said.starts_with(&words), "{own:?}: {said}");
        }
        // What the baseline needs may not be known.
        assert_eq!(found(&work[1..], 1, &[100]).0.0, Failed);
    }

    #[test]
    fn nothing_is_known_without_a_floor_or_an_answer() {
        for (work, own) in [(&[("c", 0)][..], &[100][..]), (&[("b", 1)], &[100]), (&[("c", 1000)], &[])] {
            let ((verdict, said), above) = found(work, 1000, own);
            assert_eq!((verdict, above), (HonestyVerdict::Unknown, None), "{said}");
            assert!(said.starts_with("what an answer needs at least is not known"), "{said}");
        }
    }

    #[test]
    fn the_distance_to_the_floor_is_a_mean_of_ratios() {
        let above = found(&[("c", 1000)], 1, &[2000, 8000]).1.unwrap();
        let found = [above.declared_ms, above.lowest_ms, above.times, above.least_times];
        for (found, expected) in found.into_iter().zip([0.001, 0.000_125, 4.0, 2.0]) {
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} instead of {expected}");
        }
    }
}
