//! What can be wrong with a sealed folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::sign::SignError;

/// A folder that cannot be sealed, or is not what its seal says.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The disk says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file differs from what was sealed: the path inside the folder, and how.
    #[error("{path}: {problem}")]
    Differs {
        /// Path inside the run folder.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The signer refuses.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl SealError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn differs(path: &str, problem: impl Into<String>) -> Self {
        Self::Differs { path: path.to_owned(), problem: problem.into() }
    }
}
