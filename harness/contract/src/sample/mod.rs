//! `samples.jsonl`: everything that happened, one record a line, each naming the digest of the
//! line before it.

mod log;
mod record;

#[cfg(feature = "schema")]
pub(crate) use log::Line;
pub use log::{Chain, Log, LogError, RecordedSession};
pub use record::{
    Attempt, EngineInfo, Failure, FailureKind, Header, Idle, Launch, LaunchOutcome, Mark, Outcome, Phase,
    Record, SessionEnd, SessionStatus, Stop,
};
