//! Cheating that no single answer betrays, looked for in the log after the fact: which checks there are, each in a file of
//! its own.

mod clocks;
mod distinct;
mod gpu_idle;
mod idle;
mod load;
mod noise;
mod pace;
mod repeats;
#[cfg(test)]
mod tests;

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::{HonestyCheck, HonestyKind, HonestyVerdict};
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::{Attempt, Outcome, RecordedSession};

use crate::telemetry::Derived;

/// Confidence of proofs, one-sided.
const LEVEL: f64 = 0.99;

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
        (HonestyKind::Distinct, distinct::check(plan, &sessions)),
    ];
    // Without twins nobody looked.
    if plan.measurement.twins > 0 {
        checks.push((HonestyKind::Noise, noise::check(records)));
        checks.push((HonestyKind::Pace, pace::check(plan, &sessions)));
    }
    checks.push((HonestyKind::Idle, idle::check(&sessions)));
    checks.push((HonestyKind::Load, load::check(&sessions)));
    // Without telemetry nobody looked.
    if let Some(telemetry) = telemetry {
        if plan.device.kind == DeviceKind::Cuda {
            checks.push((HonestyKind::GpuIdle, gpu_idle::check(&sessions, telemetry)));
        }
        checks.push((HonestyKind::Clocks, clocks::check(&sessions, telemetry)));
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
