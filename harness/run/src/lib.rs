//! The library of runs: the folder, resolving, preparing, the stages, the stop rule, the audit. It prints nothing; an
//! [`Observer`] is told.

#![forbid(unsafe_code)]

pub mod audit;
pub mod build;
pub mod built_in_engine;
pub mod candidate_file;
pub mod child_failure;
pub mod ci;
pub mod copies;
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
pub mod kernel_cache;
pub mod left_out;
pub mod look;
pub mod measured_run;
pub mod miner;
pub mod open;
pub mod origin;
pub mod pay;
pub mod prepare;
pub mod progress;
pub mod public;
pub mod quoted;
pub mod resolve;
pub mod site;
pub mod sources;
pub mod stage;
pub mod state_folder;
mod stop_rule;
pub mod submission_files;
#[cfg(feature = "chain")]
pub mod submissions;
pub mod task;
pub mod text_file;
#[cfg(feature = "validator")]
pub mod validator;

pub use error::{Class, Result, RunError};
pub use folder::RunFolder;
pub use progress::{Observer, Progress, Silent};
