//! The validator's day: a pure state machine, its database, its driver.

#![forbid(unsafe_code)]

pub mod collect;
pub mod contest_file;
mod describe;
pub mod driver;
mod fetching;
pub mod housekeeping;
pub mod machine;
pub mod policy;
pub mod publish;
mod reading;
pub mod schedule;
pub mod serve;
pub mod state;
pub mod status;
pub mod store;
pub mod verdict;
pub mod world;
