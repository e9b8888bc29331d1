//! `samples.jsonl`: everything that happened, one record a line, each naming the digest of the
//! line before it.

mod blocks;
mod lanes;
mod log;
mod record;
mod session;

pub use blocks::Blocks;
#[cfg(feature = "schema")]
pub(crate) use log::Line;
pub use log::{Chain, Log, LogError};
pub use record::{
    Arrival, Attempt, Block, EngineInfo, Failure, FailureKind, Header, Idle, Launch, LaunchOutcome, Mark,
    Outcome, Phase, Record, Scores, ScoresOutcome, SessionEnd, SessionStatus, Stop,
};
pub use session::RecordedSession;
