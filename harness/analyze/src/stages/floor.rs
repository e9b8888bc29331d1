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
