//! What a validator's days stand on: the subnet, checkpoints, contests in a child process, pages, what becomes of sealed
//! days, the clock. The days themselves are `edgemaxx-validator`'s.

mod bench;
mod checkpoints;
mod clock;
mod pages;
mod sealed_days;
mod subnet;

pub use bench::{ChildBench, Means};
pub use checkpoints::LocalCheckpoints;
pub use clock::WallClock;
pub use pages::Rendered;
pub use sealed_days::{SealedDays, not_published};
pub use subnet::Subtensor;
