//! What computes, one folder per kind of device: [`cpu`], [`nvidia`], [`apple`].
//!
//! A [`Vendor`] knows which cards there are, what an engine must be told and shown to see one of them, how it is
//! watched, and what makes it unfit; [`vendor`] finds it by the contest's kind. Nothing outside of this crate asks
//! which vendor a device is of.

pub mod apple;
mod check;
mod clock_lock;
pub mod cpu;
mod environment;
mod mock;
pub mod nvidia;
mod pins;
mod preflight;
mod source;
mod telemetry;
mod vendor;
mod vendors;
mod which_card;

pub use check::{Check, Fitness};
pub use clock_lock::{ClockError, Lock, leftover, lock, restore};
pub use environment::environment;
pub use mock::MockSource;
pub use pins::Pins;
pub use preflight::{Wanted, examine, weights_fit};
pub use source::{Moment, Source, Watched};
pub use telemetry::{Sources, sources};
pub use vendor::{Clocks, Hold, Vendor};
pub use vendors::{VENDORS, any_device, computed_on, vendor};
pub use which_card::{Ask, ChooseError, Chosen, choose, choose_again};
