//! The validator's hands in this program: the chain, checkpoints, the bench, clock and log.

mod adapter;
mod bench;
mod checkpoints;
mod elsewhere;
mod host;

pub(crate) use adapter::{Subtensor, WalletSigner};
pub(crate) use bench::ChildBench;
pub(crate) use checkpoints::LocalCheckpoints;
pub(crate) use elsewhere::{Elsewhere, not_published};
pub(crate) use host::{Alarms, Log, WallClock};
