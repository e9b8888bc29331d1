//! Who watches a measurement, and who may end part of it.

use edgemaxx_contract::plan::{Plan, PlannedSession, Side};
use edgemaxx_contract::sample::{Attempt, Failure, Launch, Log, SessionEnd, Stop};

/// Something that happened; already recorded, unless it says otherwise.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The measurement begins or goes on.
    Started {
        /// Whether records were found.
        resumed: bool,
    },
    /// Processes of a session, or of a block of sessions, are about to be launched (not recorded).
    Session {
        /// The session; of a block every one.
        sessions: &'a [&'a PlannedSession],
        /// Its launch.
        launch: u32,
    },
    /// A process was launched, or not.
    Launch(&'a Launch),
    /// A request was answered, or not.
    Attempt(&'a Attempt),
    /// The baseline failed; all processes are launched anew (not recorded).
    BaselineRetry {
        /// The session.
        session: u32,
        /// Why.
        failure: &'a Failure,
    },
    /// A session ended.
    Ended(&'a SessionEnd),
    /// A candidate was stopped.
    Stopped(&'a Stop),
}

/// How far the measurement is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sessions that ended or will not be run.
    pub sessions_done: u32,
    /// Sessions of the plan.
    pub sessions_total: u32,
    /// Pairs attempted, or given up with their session or candidate.
    pub pairs_done: u32,
    /// Pairs of the plan.
    pub pairs_total: u32,
    /// Measured time so far, nanoseconds, this and earlier executions.
    pub spent_ns: u64,
}

/// Watches.
pub trait Observer {
    /// Called after each event; must be quick, a request may be waiting.
    fn on(&mut self, event: &Event<'_>, progress: &Progress);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _: &Event<'_>, _: &Progress) {}
}

/// Ends candidates whose result is precise enough.
pub trait StopRule {
    /// Called after each session, and once on resuming: candidates to be stopped now. Must depend
    /// on plan and log alone, but for an end of everything. Candidates already stopped are ignored.
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop>;
}

/// Runs every session.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStops;

impl StopRule for NoStops {
    fn after_session(&mut self, _: &Plan, _: &Log) -> Vec<Stop> {
        Vec::new()
    }
}

/// The side's name in the plan.
pub(crate) fn pipeline_of<'a>(plan: &'a Plan, session: &'a PlannedSession, side: Side) -> &'a str {
    match side {
        Side::Baseline => &plan.baseline().name,
        Side::Candidate => &session.candidate,
    }
}
