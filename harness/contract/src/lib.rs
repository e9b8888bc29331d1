//! The shared vocabulary of EdgeMaxx: tasks, contest, plan, samples, quality, estimates, ranking. Pure, no I/O.

pub mod comparison;
pub mod confidence;
pub mod contest;
pub mod counted;
pub mod day;
pub mod digest;
pub mod dtype;
pub mod eligibility;
pub mod environment;
pub mod estimate;
pub mod fleet;
pub mod floor;
pub mod format;
pub mod input;
pub mod joint;
pub mod metric;
mod mock;
pub mod noise;
pub mod plan;
pub mod quality;
pub mod ranking;
pub mod repository;
pub mod run_files;
pub mod sample;
#[cfg(feature = "schema")]
pub mod schema;
pub mod sealed_claim;
pub mod shown_text;
pub mod task;
pub mod telemetry;
pub mod torn_line;
pub mod utf8;
pub mod weights;
