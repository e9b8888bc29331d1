//! What is committed on chain: by a miner, which checkpoint at which revision for which contest; by a validator,
//! the digest of a sealed day.

mod day;
mod format;
mod legacy;
mod reader;

pub use day::DaySeal;
pub use format::{CommitmentError, EngineKind, MAX_BYTES, Provider, Revision, Submission};
pub use legacy::LegacySubmission;
pub use reader::{Commitment, Unreadable, read};
