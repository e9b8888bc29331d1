//! What can go wrong with a checkpoint, a request, or the computation; every message names the file,
//! the field or tensor, what was expected, what was found, and what to do next.
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of loading and running a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file is malformed or lacks a required key.
    #[error("{}: not the JSON this model needs: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Parser's message with line and column.
        message: String,
    },
    /// A configuration value that this engine does not implement.
    #[error("{}: field `{field}`: found {found}, expected {expected}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// The key.
        field: String,
        /// The value found.
        found: String,
        /// The supported values.
        expected: String,
    },
    /// No weights in a folder that must have some.
    #[error("{}: no weights found, expected {expected}", path.display())]
    NoWeights {
        /// The folder.
        path: PathBuf,
        /// File names looked for.
        expected: String,
    },
    /// Only a pickle is there.
    #[error(
        "{}: refused: a pickle runs arbitrary code when it is read, so only safetensors are accepted; convert it where you trust it: \
         `python -c \"from diffusers import DiffusionPipeline as P; P.from_pretrained('IN').save_pretrained('OUT', safe_serialization=True)\"`",
        path.display()
    )]
    Pickle {
        /// The pickle.
        path: PathBuf,
    },
    /// A safetensors file is truncated or malformed.
    #[error("{}: damaged safetensors file: {message}; download or convert it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file that git-lfs left out.
    #[error("{}: a git-lfs pointer, not the file itself; fetch it with `git lfs pull`, or by `hf download`", path.display())]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// A GGUF file is truncated, malformed, or of a kind that is not read.
    #[error("{}: damaged GGUF file, or one of another kind: {message}", path.display())]
    DamagedGguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor that the configuration calls for is absent.
    #[error("{}: tensor `{tensor}` is missing, expected shape {expected:?}; the weights do not fit {}", path.display(), description(path))]
    MissingTensor {
        /// The file (or the first of the shards).
        path: PathBuf,
        /// Its full name.
        tensor: String,
        /// Shape that the configuration calls for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration calls for.
    #[error("{}: tensor `{tensor}` has shape {found:?}, expected {expected:?}; the weights do not fit {}", path.display(), description(path))]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// Its full name.
        tensor: String,
        /// Shape that the configuration calls for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a form this engine cannot read.
    #[error("{}: tensor `{tensor}` is stored as {found}, expected {expected}", path.display())]
    WrongDtype {
        /// The file.
        path: PathBuf,
        /// Its full name.
        tensor: String,
        /// Storage found.
        found: String,
        /// Storages accepted.
        expected: String,
    },
    /// A tokenizer cannot be built or used.
    #[error("{}: tokenizer: {message}", path.display())]
    Tokenizer {
        /// The tokenizer's folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A request that the model cannot serve.
    #[error("request field `{field}`: found {found}, expected {expected}")]
    Request {
        /// The field.
        field: &'static str,
        /// The value found.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The computation overflowed, or weights are NaN or infinite.
    #[error(
        "the picture has values that are not numbers: {undefined} of {values}; are the weights and their scales finite{}",
        if *half { ", and does f32 help where half precision overflows?" } else { "?" }
    )]
    NotFinite {
        /// Whether it was computed in half precision.
        half: bool,
        /// How many.
        undefined: usize,
        /// Of how many.
        values: usize,
    },
    /// A language model's logits are no numbers.
    #[error("logits are not numbers after {position} tokens: are the weights and their scales finite?")]
    NoLogits {
        /// Tokens that the model had read.
        position: usize,
    },
    /// The device asked for is not there or cannot serve.
    #[error("{0}")]
    Device(String),
    /// The computation failed.
    #[error("computation failed: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Where what the weights in a file must be is said: a GGUF file says it itself.
fn description(path: &Path) -> &'static str {
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) {
        true => "the file's own metadata",
        false => "the folder's config.json",
    }
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// Refuses a size that no model has: it would cost memory or time before anything else stops it.
    pub(crate) fn bound(path: &Path, field: &str, found: usize, most: usize) -> Result<()> {
        if (1..=most).contains(&found) {
            return Ok(());
        }
        Err(Self::config(path, field, found, format!("1 to {most}")))
    }

    /// Refuses what a normalisation cannot add to a variance.
    pub(crate) fn epsilon(path: &Path, field: &str, found: f64) -> Result<()> {
        if found > 0.0 && found <= 1.0 {
            return Ok(());
        }
        Err(Self::config(path, field, found, "above 0, and at most 1"))
    }

    pub(crate) fn config(path: &Path, field: &str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Config {
            path: path.to_path_buf(),
            field: field.to_string(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
