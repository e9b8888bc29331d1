//! Executes a plan, owns the clock, appends samples.
//!
//! [`execute`] runs a plan in a folder, or goes on with one that was interrupted. What it asks
//! next depends only on the plan and on what `samples.jsonl` holds.

mod descriptors;
mod disk;
mod error;
mod execute;
mod observe;
mod patience;
mod process;
mod remaining;
mod run;
mod session;
mod steady;
mod tally;
pub mod telemetry;

pub use disk::{Disk, FolderDisk, SAMPLES_FILE};
pub use error::MeasureError;
pub use execute::{Summary, budget_spent, execute, finished};
pub use observe::{Event, NoStops, Observer, Progress, Silent, StopRule};
pub use remaining::due as follows;
pub use run::Io;
pub use steady::{STEADY_FALL, STEADY_RISE, is_steady};
pub use tally::Tally;
