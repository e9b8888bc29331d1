//! How a checkpoint is named: `path:FOLDER` (or just a folder), `hf:owner/name@revision`, `file+git:MIRROR@revision`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use edgemaxx_contract::repository::is_repository;

use crate::HubError;

/// Where a checkpoint comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder on this machine.
    Path(PathBuf),
    /// A git repository on this machine, such as a mirror of the hub's.
    Git {
        /// The repository, bare or not.
        mirror: PathBuf,
        /// A commit, branch or tag; `None` means its HEAD.
        revision: Option<String>,
    },
    /// A repository on the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repository: String,
        /// A commit, branch or tag; `None` means `main`.
        revision: Option<String>,
    },
}

impl Source {
    /// Whether the source names its content for ever: a folder can change, and so can a branch.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Path(_) => false,
            Self::Git { revision, .. } | Self::Hub { revision, .. } => {
                revision.as_deref().is_some_and(is_commit)
            }
        }
    }
}

/// Whether this is a full commit.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether this can name a commit, branch or tag and nothing else.
fn is_revision(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|b| is_letter(b) || b == b'/')
        && !text.starts_with(['/', '.', '-'])
        && !text.ends_with('/')
        && !text.contains("..")
        && !text.contains("//")
}

impl FromStr for Source {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let bad = |why| HubError::Source { text: text.chars().take(200).collect(), why };
        if let Some(rest) = text.strip_prefix("file+git:") {
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            // A path may hold an `@`, a revision may not.
            let (mirror, revision) = match rest.rsplit_once('@') {
                Some((mirror, revision)) if !revision.contains('/') || is_revision(revision) => {
                    (mirror, Some(revision))
                }
                _ => (rest, None),
            };
            if mirror.is_empty() || mirror.contains('\0') {
                return Err(bad("an empty path"));
            }
            if revision.is_some_and(|r| !is_revision(r)) {
                return Err(bad("the revision is no commit, branch or tag"));
            }
            return Ok(Self::Git { mirror: mirror.into(), revision: revision.map(str::to_owned) });
        }
        let Some(rest) = text.strip_prefix("hf:") else {
            let path = text.strip_prefix("path:").unwrap_or(text);
            return if path.is_empty() || path.contains('\0') {
                Err(bad("an empty path"))
            } else {
                Ok(Self::Path(path.into()))
            };
        };
        let (repository, revision) = match rest.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(bad("the repository is not owner/name as the hub names them"));
        }
        if revision.is_some_and(|r| !is_revision(r)) {
            return Err(bad("the revision is no commit, branch or tag"));
        }
        Ok(Self::Hub { repository: repository.to_owned(), revision: revision.map(str::to_owned) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path:{}", path.display()),
            Self::Git { mirror, revision: None } => write!(f, "file+git:{}", mirror.display()),
            Self::Git { mirror, revision: Some(r) } => write!(f, "file+git:{}@{r}", mirror.display()),
            Self::Hub { repository, revision: None } => write!(f, "hf:{repository}"),
            Self::Hub { repository, revision: Some(r) } => write!(f, "hf:{repository}@{r}"),
        }
    }
}
