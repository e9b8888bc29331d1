//! What a miner commits on chain: which checkpoint, at which revision, for which contest.

mod format;
mod legacy;
mod reader;

pub use format::{CommitmentError, EngineKind, MAX_BYTES, Provider, Revision, Submission};
pub use legacy::LegacySubmission;
pub use reader::{Commitment, Unreadable, read};
