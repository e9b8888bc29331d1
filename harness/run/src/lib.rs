//! The library of runs: the folder, resolving, preparing, the stages, the stop rule, the audit. It prints nothing; an
//! [`Observer`] is told.

#![forbid(unsafe_code)]

pub mod audit;
pub mod build;
pub mod child;
pub mod ci;
pub mod copies;
pub mod entry;
pub mod error;
#[cfg(test)]
mod example;
pub mod fitness;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod floor;
pub mod folder;
pub mod follow;
pub mod hub;
pub mod kernels;
pub mod left_out;
pub mod likeness;
pub mod look;
pub mod measured;
pub mod miner;
pub mod native;
pub mod open;
pub mod origin;
pub mod pay;
pub mod prepare;
pub mod progress;
pub mod public;
pub mod resolve;
pub mod shell;
pub mod site;
pub mod sources;
pub mod stage;
pub mod state;
mod stop_rule;
#[cfg(feature = "chain")]
pub mod submissions;
pub mod task;
#[cfg(feature = "validator")]
pub mod validator;

pub use error::{Class, Result, RunError};
pub use folder::RunFolder;
pub use progress::{Observer, Progress, Silent};
