//! What computes, one folder per kind of device: [`cpu`], [`nvidia`], [`apple`].
//!
//! A [`Vendor`] knows which cards there are, what an engine must be told and shown to see one of them, how it is
//! watched, and what makes it unfit; [`vendor`] finds it by the contest's kind. Nothing outside of this crate asks
//! which vendor a device is of.

pub mod apple;
mod choose;
mod clocks;
pub mod cpu;
mod environment;
mod mock;
pub mod nvidia;
mod pins;
mod preflight;
mod telemetry;
mod vendor;

pub use choose::{Ask, ChooseError, Chosen, choose, choose_again};
pub use clocks::{ClockError, Clocks, Lock, leftover, lock, restore};
pub use environment::environment;
pub use mock::MockSource;
pub use pins::Pins;
pub use preflight::{Check, Fitness, Wanted, examine};
pub use telemetry::{Moment, Source, Sources, Watched, sources};
pub use vendor::{VENDORS, Vendor, computed_on, vendor};
