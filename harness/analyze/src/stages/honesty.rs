//! Cheating that no single answer betrays, looked for in the log after the fact.

mod noise;
mod pace;
mod repeats;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::{HonestyCheck, HonestyKind, HonestyVerdict};
use edgemaxx_contract::plan::{Plan, PlannedSession, Side};
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::{Attempt, LaunchOutcome, Outcome, Phase, RecordedSession};
use edgemaxx_contract::telemetry::AttemptTelemetry;

use crate::estimators::quantiles::Sorted;
use crate::estimators::student;
use crate::telemetry::Derived;

/// Confidence of proofs, one-sided.
const LEVEL: f64 = 0.99;
/// More of a core than this in time that belongs to the other side is work left running.
const DOUBTFUL_BUSY: f64 = 0.1;
/// As much as this no runtime's habit of waiting actively explains; PROTOCOL.md forbids it.
const FAILED_BUSY: f64 = 0.5;
/// As much as this of a core, used by neither an engine nor the harness, might be an engine's all the same.
const UNEXPLAINED: f64 = DOUBTFUL_BUSY;
/// Idle time below which nothing can be said, nanoseconds.
const MIN_WAITED_NS: u64 = 100_000_000;
/// Loading longer than this many times the baseline's, and than so many milliseconds more.
const LONG_LOAD: (f64, f64) = (10.0, 10_000.0);

/// The same of a GPU, as parts of it.
const GPU_BUSY: (f64, f64) = (0.1, 0.5);
/// Clock frequencies that differ by more than this, proven, are no noise. Less power drawn lets a
/// GPU clock higher, which is honest where clocks are not locked: never more than doubtful.
const OTHER_CLOCK: f64 = 0.02;

/// The sessions of one candidate.
type Sessions<'a> = Vec<(&'a PlannedSession, &'a RecordedSession<'a>)>;

/// Every check of `candidate`, in the order of [`HonestyKind`].
pub(super) fn checks(
    plan: &Plan,
    recorded: &[RecordedSession<'_>],
    telemetry: Option<&Derived>,
    candidate: &str,
    records: &[&QualityRecord],
) -> Vec<HonestyCheck> {
    let sessions: Sessions<'_> =
        plan.sessions.iter().zip(recorded).filter(|(planned, _)| planned.candidate == candidate).collect();
    let mut checks = vec![
        (HonestyKind::Repeats, repeats::check(&sessions)),
        (HonestyKind::Distinct, distinct(plan, &sessions)),
    ];
    // Without twins nobody looked.
    if plan.measurement.twins > 0 {
        checks.push((HonestyKind::Noise, noise::check(records)));
        checks.push((HonestyKind::Pace, pace::check(plan, &sessions)));
    }
    checks.push((HonestyKind::Idle, idle(&sessions)));
    checks.push((HonestyKind::Load, load(&sessions)));
    // Without telemetry nobody looked.
    if let Some(telemetry) = telemetry {
        if plan.device.kind == DeviceKind::Cuda {
            checks.push((HonestyKind::GpuIdle, gpu_idle(&sessions, telemetry)));
        }
        checks.push((HonestyKind::Clocks, clocks(&sessions, telemetry)));
    }
    checks.into_iter().map(|(what, (verdict, detail))| HonestyCheck { what, verdict, detail }).collect()
}

fn unknown(detail: &str) -> (HonestyVerdict, String) {
    (HonestyVerdict::Unknown, detail.to_owned())
}

fn answered(attempt: &Attempt) -> Option<(f64, Digest)> {
    match attempt.outcome {
        Outcome::Answered { latency_ns, answer, .. } => Some((latency_ns.max(1) as f64, answer)),
        Outcome::Failed(_) => None,
    }
}

/// Different requests must get different answers where the baseline's differ.
fn distinct(plan: &Plan, sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
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

/// What a process does while the other side is asked slows the other side down.
fn idle(sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let of = |side: Side| {
        let idle = sessions.iter().flat_map(|(_, recorded)| &recorded.idle);
        idle.filter(move |idle| idle.side == side)
    };
    let share = |side: Side| {
        let (waited, busy) =
            of(side).fold((0, 0), |(waited, busy), idle| (waited + idle.waited_ns, busy + idle.busy_ns));
        (waited >= MIN_WAITED_NS).then(|| busy as f64 / waited as f64)
    };
    let Some(own) = share(Side::Candidate) else { return unknown("processor time was not recorded") };
    let theirs =
        share(Side::Baseline).map_or_else(|| "—".to_owned(), |share| format!("{:.1}%", 100.0 * share));
    let words = format!("busy {:.1}% of one core while nothing was asked (baseline {theirs})", 100.0 * own);
    if own >= FAILED_BUSY {
        return (HonestyVerdict::Failed, words);
    }
    if own >= DOUBTFUL_BUSY {
        return (HonestyVerdict::Doubtful, words);
    }
    // Who hides his work from his account leaves it in the machine's.
    let others: Option<u64> = of(Side::Candidate).map(|idle| idle.others_ns).sum();
    let waited: u64 = of(Side::Candidate).map(|idle| idle.waited_ns).sum();
    match others.map(|others| others as f64 / waited as f64) {
        Some(share) if share < UNEXPLAINED => (HonestyVerdict::Passed, words),
        Some(share) => unknown(&format!(
            "{words}; the machine was busy {:.1}% of one core meanwhile with what is neither an engine's nor the \
             harness's work",
            100.0 * share
        )),
        None => unknown(&format!("{words}; what else the machine did is not known")),
    }
}

/// Loading is not scored; requests are unknown then, so that only preparation can be hidden in it.
fn load(sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    let median = |side: Side| {
        let launches = sessions.iter().flat_map(|(_, recorded)| &recorded.launches);
        let ms = launches.filter(|launch| launch.side == side).filter_map(|launch| match launch.outcome {
            LaunchOutcome::Ready { launch_ns, load_ns, .. } => Some((launch_ns + load_ns) as f64 / 1e6),
            LaunchOutcome::Failed(_) => None,
        });
        Sorted::new(ms.collect()).quantile(0.5)
    };
    let (Some(own), Some(theirs)) = (median(Side::Candidate), median(Side::Baseline)) else {
        return unknown("it was never loaded");
    };
    let (times, more_ms) = LONG_LOAD;
    let long = own > theirs * times && own > theirs + more_ms;
    let verdict = if long { HonestyVerdict::Doubtful } else { HonestyVerdict::Passed };
    (verdict, format!("{:.2} s from spawn to ready (baseline {:.2} s)", own / 1e3, theirs / 1e3))
}

/// As [`idle`], on the GPU: what its processes do there long after their last answer.
fn gpu_idle(sessions: &Sessions<'_>, telemetry: &Derived) -> (HonestyVerdict, String) {
    let share = |side: Side| {
        let busy: Vec<f64> = sessions
            .iter()
            .flat_map(|(planned, recorded)| telemetry.unasked(recorded.place(planned.index, side), side))
            .map(|percent| f64::from(*percent) / 100.0)
            .collect();
        (!busy.is_empty()).then(|| (student::mean(&busy), busy.len()))
    };
    let Some((own, readings)) = share(Side::Candidate) else {
        return unknown("its work on the GPU was never read two seconds after its last answer or later");
    };
    let (doubtful, failed) = GPU_BUSY;
    let verdict = match own {
        share if share >= failed => HonestyVerdict::Failed,
        share if share >= doubtful => HonestyVerdict::Doubtful,
        _ => HonestyVerdict::Passed,
    };
    let theirs =
        share(Side::Baseline).map_or_else(|| "—".to_owned(), |(share, _)| format!("{:.1}%", 100.0 * share));
    let words = format!(
        "used {:.1}% of the GPU while nothing was asked (baseline {theirs}), {readings} readings",
        100.0 * own
    );
    (verdict, words)
}

/// Who changes the clocks wins without being faster.
fn clocks(sessions: &Sessions<'_>, telemetry: &Derived) -> (HonestyVerdict, String) {
    let compared = |of: fn(&AttemptTelemetry) -> Option<f64>| -> Vec<f64> {
        let mean = |recorded: &RecordedSession<'_>, side: Side| {
            let measured = |a: &&&Attempt| a.side == side && matches!(a.phase, Phase::Measured { .. });
            let clocks: Vec<f64> = recorded
                .attempts
                .iter()
                .filter(measured)
                .filter_map(|attempt| of(telemetry.attempt(attempt)?))
                .collect();
            (!clocks.is_empty()).then(|| student::mean(&clocks))
        };
        sessions
            .iter()
            .filter_map(|(_, recorded)| {
                Some(mean(recorded, Side::Candidate)? / mean(recorded, Side::Baseline)?)
            })
            .collect()
    };
    let (what, ratios) = match compared(|known| known.gpu_mhz) {
        ratios if ratios.is_empty() => ("processors'", compared(|known| known.cpu_mhz)),
        ratios => ("GPU's", ratios),
    };
    if ratios.is_empty() {
        return unknown("clock frequencies cannot be read here");
    }
    let ratio = student::mean(&ratios);
    let found = student::interval(&ratios, LEVEL);
    let (Some(lower), Some(upper)) = (found.lower, found.upper) else {
        return unknown(&format!(
            "its requests ran at {ratio:.3} of the baseline's {what} clock in one session"
        ));
    };
    let words = format!(
        "its requests ran at {ratio:.3} of the baseline's {what} clock ({lower:.3} to {upper:.3} with {:.0}% confidence, {} sessions)",
        100.0 * LEVEL,
        ratios.len()
    );
    let other = lower > 1.0 + OTHER_CLOCK || upper < 1.0 - OTHER_CLOCK;
    (if other { HonestyVerdict::Doubtful } else { HonestyVerdict::Passed }, words)
}
