//! Preflight: is this machine what the contest asks for, and quiet enough to be believed?
//!
//! [`Facts`] are what is found, [`checks`] judges them and is pure, [`lock`] changes the clocks of
//! a GPU on request and puts them back, after a crash too.

mod checks;
mod clocks;
mod facts;

pub use checks::{Check, Fitness, Wanted, checks};
pub use clocks::{ClockError, Clocks, Lock, NvmlClocks, leftover, lock, restore};
pub use facts::{Facts, GpuFacts, gather};
