//! Text files that somebody wrote.

use std::path::Path;

use crate::error::{Result, RunError};

/// The text of a file that somebody wrote: a contest, a candidate's own file, prompts.
///
/// # Errors
/// It is not there, not a plain file, too large, or not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    edgemaxx_files::read_text(path).map_err(|error| match error.source.kind() {
        std::io::ErrorKind::NotFound => RunError::input(format!("{}: no such file", path.display())),
        _ => RunError::input(error.to_string()),
    })
}

/// The same of a file that need not be there; only one that is not there is none.
///
/// # Errors
/// It is there, and cannot be read.
pub fn read_text_if_there(path: &Path) -> Result<Option<String>> {
    match edgemaxx_files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RunError::input(error.to_string())),
    }
}
