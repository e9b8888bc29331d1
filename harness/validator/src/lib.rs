//! The validator's day: a pure state machine, its database, its driver.

#![forbid(unsafe_code)]

pub mod calendar;
pub mod collect;
pub mod contest_file;
pub mod day_weights;
#[cfg(feature = "daemon")]
mod decided;
#[cfg(feature = "daemon")]
mod describe;
#[cfg(feature = "daemon")]
pub mod driver;
#[cfg(feature = "daemon")]
mod fetching;
#[cfg(feature = "daemon")]
pub mod group;
pub mod housekeeping;
pub mod joint;
pub mod machine;
pub mod policy;
mod prometheus;
#[cfg(feature = "daemon")]
pub mod publish;
#[cfg(feature = "daemon")]
mod reading;
#[cfg(feature = "daemon")]
pub mod serve;
pub mod state;
pub mod status;
#[cfg(feature = "daemon")]
pub mod store;
pub mod workers;
pub mod world;
