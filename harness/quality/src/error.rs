//! Everything that can go wrong while answers are judged.

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::input::InputError;
use edgemaxx_picture::PictureError;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, QualityError>;

/// Why a picture, a pair or a model could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// What was asked is not what the task asks.
    #[error(transparent)]
    Ask(#[from] InputError),
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no picture that can be judged.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The file is not the answer that was recorded.
    #[error("{}: its content has digest {found}, the samples say {recorded}; restore the answer that was measured, or measure again", path.display())]
    Exchanged {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: Digest,
        /// What it should hold.
        recorded: Digest,
    },
    /// The two pictures of a pair have different sizes.
    #[error(
        "pictures of unequal size: {}x{} against {}x{}; generate both at the contest's width and height",
        a.0, a.1, b.0, b.1
    )]
    UnequalSizes {
        /// Width and height of the first picture, pixels.
        a: (u32, u32),
        /// Width and height of the second picture, pixels.
        b: (u32, u32),
    },
    /// A metric's window does not fit into the picture.
    #[error("{metric} needs at least {needed} pixels on the shorter side, the picture is {width}x{height}")]
    TooSmall {
        /// The metric.
        metric: &'static str,
        /// Least width and height, pixels.
        needed: u32,
        /// Width of the picture, pixels.
        width: u32,
        /// Height of the picture, pixels.
        height: u32,
    },
    /// Two vectors that should be compared have different lengths, or one has no direction.
    #[error("{what}: {problem}")]
    Vector {
        /// What was compared.
        what: &'static str,
        /// Why it cannot be.
        problem: String,
    },
    /// Two files that cannot be compared.
    #[error("{} and {}: {problem}", a.display(), b.display())]
    Pair {
        /// The first file.
        a: PathBuf,
        /// The second file.
        b: PathBuf,
        /// Why not.
        problem: Box<QualityError>,
    },
    /// A settings file of a model is missing a field or says something unsupported.
    #[error("{}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The field, what was expected, what to do.
        problem: String,
    },
    /// The baseline's model could not be loaded or run.
    #[error("the baseline's model: {0}")]
    Baseline(String),
    /// The CLIP model could not be loaded or run.
    #[error("CLIP: {0}")]
    Clip(String),
    /// The LPIPS model could not be loaded.
    #[error("LPIPS: {0}")]
    Lpips(String),
}

impl QualityError {
    /// A settings file of a model that cannot be read, or is not `what` it should be.
    pub(crate) fn of_settings(path: &Path, what: &str, error: edgemaxx_candle::Error) -> Self {
        use edgemaxx_candle::Error;
        match error {
            Error::Io { path, source } => Self::Read { path, source },
            Error::Json { path, message } => Self::Settings { path, problem: format!("{what}: {message}") },
            other => Self::Settings { path: path.to_owned(), problem: other.to_string() },
        }
    }

    /// The same with the names of the pictures' files, where it is about the two of them and names none.
    pub(crate) fn of_pair(self, a: &Path, b: &Path) -> Self {
        match self {
            Self::UnequalSizes { .. } | Self::TooSmall { .. } | Self::Vector { .. } => {
                Self::Pair { a: a.to_owned(), b: b.to_owned(), problem: Box::new(self) }
            }
            other => other,
        }
    }
}
