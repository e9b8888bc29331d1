//! Files and bytes that are no picture.

use std::path::PathBuf;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is none that can be taken for what it shows.
    #[error("{name}: {problem}; {advice}")]
    Unfit {
        /// File or other name of the picture.
        name: String,
        /// What is wrong with it.
        problem: String,
        /// What to do next.
        advice: &'static str,
    },
}

impl PictureError {
    pub(crate) fn unfit(name: &str, problem: impl Into<String>, advice: &'static str) -> Self {
        Self::Unfit { name: name.to_owned(), problem: problem.into(), advice }
    }
}
