//! Measurements of others and our own, read into one [`SampleTable`].

mod csv;
mod error;
mod hyperfine;
mod log;
mod names;
mod rows;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::SourceError;
pub use log::{from_log, session_from_log};

use crate::samples::SampleTable;

/// Reads measurements; the kind of file follows from its name: `.csv`, `.jsonl` (our samples, with
/// their `plan.json` beside them) or `.json` (hyperfine's export).
///
/// `baseline` names the pipeline all others are compared with; without it that is the one called
/// `baseline`, or else the first in the file.
///
/// # Errors
/// [`SourceError`] names the file, the line and the column, and what was expected.
pub fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => csv::read(path, baseline),
        Some("jsonl") => log::read(path, baseline),
        Some("json") => hyperfine::read(path, baseline),
        _ => Err(SourceError::Kind { path: path.to_owned() }),
    }
}
