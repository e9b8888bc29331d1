//! The validator's hands in this program: the chain, checkpoints, the bench, clock and log.

mod adapter;
mod bench;
mod checkpoints;
mod host;
mod pages;
mod sealed_days;

pub(crate) use adapter::Subtensor;
pub(crate) use bench::ChildBench;
pub(crate) use checkpoints::LocalCheckpoints;
pub(crate) use host::{Alarms, Log, WallClock};
pub(crate) use pages::Rendered;
pub(crate) use sealed_days::{SealedDays, not_published};
