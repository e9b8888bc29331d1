//! Where days are published: a folder, or a dataset repository on the hub.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use edgemaxx_hub::Source;

/// Where days are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A folder.
    Folder(PathBuf),
    /// A dataset repository on the hub, `owner/name`.
    Hub(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with("hf:") {
            return Ok(Self::Folder(text.into()));
        }
        match text.parse() {
            Ok(Source::Hub { repository, revision: None }) => Ok(Self::Hub(repository)),
            _ => Err(format!("expected a folder, or a dataset repository as hf:OWNER/NAME; found {text:?}")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Hub(repository) => write!(f, "hf:{repository}"),
        }
    }
}
