//! A planet with a chain, miners and a bench, in memory: a day passes in milliseconds.

mod contest;
mod drive;
mod hand;
mod planet;
mod verdict;

pub(crate) use contest::{CONTEST, settings};
pub(crate) use drive::{drive, hands, key, world};
pub(crate) use hand::Hand;
pub(crate) use planet::{BLOCK_S, GENESIS, Miner, Planet};
pub(crate) use verdict::{chance, estimates};
