//! Of a contest's file: how it is measured, with what is usual where it does not say.

use super::super::spec::{Measurement, Residency, Stopping, Timeouts};
use super::super::wire::WireMeasurement;
use crate::input::{InputError, bad, within};
use crate::task::TaskRef;

/// Candidates of a block where the contest does not say: as many as simulation found to be worth it
/// (METHODOLOGY.md) where one process is in memory at a time, else one, since the memory for more is
/// nobody's to presume.
fn shared(residency: Residency) -> u32 {
    match residency {
        Residency::Together | Residency::Swapped => 1,
        Residency::Alternating => 12,
    }
}

/// One baseline that answers for several asks all of them the same: then nobody has requests of his own.
fn block(wire: &WireMeasurement) -> Result<u32, InputError> {
    let usual = if wire.own_requests { 1 } else { shared(wire.residency) };
    let block = within("measurement.block", wire.block.unwrap_or(usual), 1, 64)?;
    match wire.own_requests && block > 1 {
        true => Err(bad("measurement.block", "1, since measurement.own_requests asks each its own", block)),
        false => Ok(block),
    }
}

/// Where early rounds are named, a third of the pairs.
fn early_pairs(wire: &WireMeasurement, pairs: u32) -> Result<u32, InputError> {
    match (wire.early_rounds.unwrap_or(0), wire.early_pairs) {
        (0, None) => Ok(0),
        (0, Some(found)) => {
            Err(bad("measurement.early_pairs", "measurement.early_rounds beside it, or neither", found))
        }
        (_, found) => within("measurement.early_pairs", found.unwrap_or(pairs.div_ceil(3)), 1, pairs),
    }
}

/// At most every second request is another one's twin, and none where nothing is asked twice.
fn twins(wire: &WireMeasurement, pairs: u32, task: TaskRef) -> Result<u32, InputError> {
    let twins = within("measurement.twins", wire.twins.unwrap_or(0), 0, pairs / 2)?;
    match twins > 0 && task.asks_once() {
        true => Err(bad("measurement.twins", &format!("none, since a {task} is asked for each once"), twins)),
        false => Ok(twins),
    }
}

pub(super) fn measurement(wire: &WireMeasurement, task: TaskRef) -> Result<Measurement, InputError> {
    let sessions = within("measurement.sessions", wire.sessions.unwrap_or(8), 1, 1000)?;
    let pairs = within("measurement.pairs", wire.pairs.unwrap_or(20), 1, 10_000)?;
    let warmup_min = within("measurement.warmup_min", wire.warmup_min.unwrap_or(1), 0, 100)?;
    let until = wire.until_half_width;
    if let Some(half_width) = until {
        within("measurement.until_half_width", half_width, 1e-6, 1.0)?;
    }
    if let Some(slowdown) = wire.max_slowdown {
        within("measurement.max_slowdown", slowdown, 0.0, 10.0)?;
    }
    if let Some(budget) = wire.budget_s {
        within("measurement.budget_s", budget, 1.0, 1e7)?;
    }
    Ok(Measurement {
        sessions,
        pairs,
        quick_sessions: within(
            "measurement.quick_sessions",
            wire.quick_sessions.unwrap_or(sessions.min(3)),
            1,
            1000,
        )?,
        quick_pairs: within("measurement.quick_pairs", wire.quick_pairs.unwrap_or(pairs.min(2)), 1, 10_000)?,
        warmup_min,
        warmup_max: within(
            "measurement.warmup_max",
            wire.warmup_max.unwrap_or(warmup_min.max(10)),
            warmup_min,
            1000,
        )?,
        threads: within("measurement.threads", wire.threads.unwrap_or(1), 1, 1024)?,
        residency: wire.residency,
        block: block(wire)?,
        early_rounds: within("measurement.early_rounds", wire.early_rounds.unwrap_or(0), 0, sessions)?,
        early_pairs: early_pairs(wire, pairs)?,
        twins: twins(wire, pairs, task)?,
        own_requests: wire.own_requests,
        timeouts: Timeouts {
            load_s: within(
                "measurement.load_timeout_s",
                wire.load_timeout_s.unwrap_or(600.0),
                0.1,
                86_400.0,
            )?,
            request_s: within(
                "measurement.request_timeout_s",
                wire.request_timeout_s.unwrap_or(120.0),
                0.1,
                86_400.0,
            )?,
            exit_s: within("measurement.exit_timeout_s", wire.exit_timeout_s.unwrap_or(10.0), 0.1, 3_600.0)?,
        },
        stopping: Stopping {
            until_half_width: until,
            budget_s: wire.budget_s,
            max_slowdown: wire.max_slowdown,
        },
    })
}
