//! What is committed on chain: by a miner, which checkpoint at which revision for which contest; by a validator,
//! the digest of a sealed day.

mod day;
mod legacy;
mod reader;
mod sealed;
mod submission;

pub use day::DaySeal;
pub use legacy::LegacySubmission;
pub use reader::{Commitment, Unreadable, read};
pub use sealed::{Sealed, fresh_salt};
pub use submission::{CommitmentError, EngineKind, MAX_BYTES, Opening, Provider, Revision, Submission};
