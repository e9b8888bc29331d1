//! The names and versions that head our files, and what a reader says of a foreign one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::input::InputError;

/// The kind and version of a file; the first thing in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// What the file is, e.g. `edgemaxx-plan`.
    pub format: String,
    /// Its version; a reader accepts its own version only.
    pub version: u32,
}

impl Format {
    /// The format `name` in version `version`.
    pub fn new(name: &str, version: u32) -> Self {
        Self { format: name.to_owned(), version }
    }

    /// Checks that a file read is of the expected kind and version.
    ///
    /// # Errors
    /// [`FormatError`] names both.
    pub fn expect(&self, expected: &Format) -> Result<(), FormatError> {
        if self == expected {
            return Ok(());
        }
        Err(FormatError { found: self.clone(), expected: expected.clone() })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} version {}", self.format, self.version)
    }
}

/// A file of another kind, or of a version that this program does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is {found}, but {expected} was expected; use the EdgeMaxx release that wrote it")]
pub struct FormatError {
    /// What the file says it is.
    pub found: Format,
    /// What this program reads.
    pub expected: Format,
}

/// A file that is not what it should be; the caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of the expected shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Another kind or version.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// What its task refuses.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// A file that is one JSON document headed by its [`Format`].
pub trait Document: Sized {
    /// The format this program writes and reads.
    fn expected_format() -> Format;
    /// The format the document says it has.
    fn format(&self) -> &Format;

    /// The document as pretty JSON with a final line feed; equal documents give equal bytes.
    fn to_json(&self) -> String;

    /// Reads a document.
    ///
    /// # Errors
    /// [`DocumentError`] with line and column, or the format found.
    fn from_json(text: &str) -> Result<Self, DocumentError>;
}

/// What [`Document::to_json`] does.
pub fn write(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect(FITS) + "\n"
}

/// Why encoding what is ours never fails: keys are text, and a number that is none is written as null.
pub(crate) const FITS: &str = "what is ours fits JSON";

/// What [`Document::from_json`] does, for a document of the `expected` format.
///
/// # Errors
/// [`DocumentError`].
pub fn read<T: DeserializeOwned>(text: &str, expected: &Format) -> Result<T, DocumentError> {
    // The format first: a newer version may have another shape altogether.
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = serde_json::from_str(text)?;
    Format::new(&head.format, head.version).expect(expected)?;
    Ok(serde_json::from_str(text)?)
}

/// Implements [`Document`](crate::format::Document) for a struct with a flattened field
/// `format: Format`; reader and writer are compiled where the struct is, once, and not in every crate
/// that calls them.
#[macro_export]
macro_rules! document {
    ($type:ty, $name:literal, $version:literal) => {
        impl $crate::format::Document for $type {
            fn expected_format() -> $crate::format::Format {
                $crate::format::Format::new($name, $version)
            }
            fn format(&self) -> &$crate::format::Format {
                &self.format
            }
            fn to_json(&self) -> String {
                $crate::format::write(self)
            }
            fn from_json(text: &str) -> Result<Self, $crate::format::DocumentError> {
                $crate::format::read(text, &Self::expected_format())
            }
        }
    };
}
