//! What can be wrong with a checkpoint, each with the next step.

use std::path::{Path, PathBuf};

use edgemaxx_files::WalkError;

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not a source.
    #[error(
        "`{text}` is no checkpoint source: {why}; expected path:FOLDER, hf:owner/name@revision or file+git:MIRROR@revision"
    )]
    Source {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The repository is not in the cache.
    #[error("{repository}: revision {revision} is not in the cache {}; fetch it first with `hf download {repository} --revision {revision}`, or unset HF_HUB_OFFLINE", cache.display())]
    NotCached {
        /// `owner/name`.
        repository: String,
        /// The revision asked for.
        revision: String,
        /// Where was looked.
        cache: PathBuf,
    },
    /// A folder that is no checkpoint.
    #[error(transparent)]
    Folder(#[from] WalkError),
    /// Nothing usable.
    #[error("{}: holds no checkpoint file (safetensors, gguf, json, jsonl, txt, toml); check the source", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file changed while it was read.
    #[error("{}: changed while it was read; keep the checkpoint still and try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Not the address of a hub.
    #[error(
        "HF_ENDPOINT `{text}`: expected an address such as https://huggingface.co, without query or user"
    )]
    Endpoint {
        /// What was given.
        text: String,
    },
    /// Something else stands where a token should.
    #[error(
        "{place}: expected a token alone, without blanks inside and in plain letters, digits and signs; mend it, or take it away"
    )]
    Token {
        /// The variable or file.
        place: String,
    },
    /// Publishing needs a token.
    #[error(
        "no token: set HF_TOKEN (or run `hf auth login`) to one that may write to the repository, and unset HF_HUB_DISABLE_IMPLICIT_TOKEN"
    )]
    NoToken,
    /// Publishing needs the network.
    #[error("HF_HUB_OFFLINE is set, and publishing needs the hub; unset it")]
    Offline,
    /// The hub was not reached, or the connection was lost.
    #[error(
        "{url}: {why}; check the network and HF_ENDPOINT, then run the same command again: it goes on where it stopped"
    )]
    Network {
        /// Address, without its query.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// The hub said no.
    #[error("{url}: the hub answered {status} ({said}); {}", advice(*status))]
    Status {
        /// Address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// In its own words.
        said: String,
    },
    /// An answer that cannot be understood.
    #[error("{url}: the hub's answer cannot be used: {why}; check HF_ENDPOINT")]
    Answer {
        /// Address, without its query.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The hub gave something else than it promised. Nothing of it is kept.
    #[error(
        "{url}: the hub contradicts itself: {what}: expected {expected}, found {found}; nothing of it was kept; try again, or report it to the hub"
    )]
    Lie {
        /// Address, without its query.
        url: String,
        /// About what.
        what: String,
        /// What it promised.
        expected: String,
        /// What it gave.
        found: String,
    },
    /// A file in the cache or the mirror is not what its name says.
    #[error("{}: not the content that belongs there; remove it and try again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Not the address of a static site.
    #[error(
        "`{text}`: expected an address such as https://example.org/days/2026-11-22, without query or user"
    )]
    SiteAddress {
        /// What was given.
        text: String,
    },
    /// A static site was not reached, or refused.
    #[error("{url}: {why}; check the address and the network, then run the same command again")]
    Site {
        /// Address, without its query.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// Somebody else committed in between.
    #[error(
        "{repository}: another commit ({commit}) came in between, and its files differ from the folder's; look at it, then publish again"
    )]
    Conflict {
        /// `owner/name`.
        repository: String,
        /// The branch's commit now.
        commit: String,
    },
    /// git could not do it.
    #[error("git mirror {}: {why}", mirror.display())]
    Git {
        /// The mirror.
        mirror: PathBuf,
        /// What it said.
        why: String,
    },
}

impl HubError {
    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether it is not there, or not for us: the same will hardly succeed a little later.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403 | 404 | 410, .. })
    }

    /// Whether the hub or the way to it is at fault, and not what was asked for.
    pub fn is_remote(&self) -> bool {
        matches!(
            self,
            Self::Network { .. }
                | Self::Status { .. }
                | Self::Answer { .. }
                | Self::Lie { .. }
                | Self::Site { .. }
                | Self::Conflict { .. }
                | Self::NotCached { .. }
        )
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "set HF_TOKEN to a valid token; a private or missing repository answers so, too",
        403 => "the token may not do this: accept the repository's terms, or use a token with write access",
        404 => "check the repository's name and revision; a private one needs HF_TOKEN",
        409 | 412 => "another change came first: look at the repository, then try again",
        429 => "too many requests: wait a few minutes",
        500..=599 => "the hub has trouble: try again later; what was transferred is kept",
        _ => "check the source and HF_ENDPOINT",
    }
}

pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> HubError + '_ {
    move |source| HubError::Io { path: path.to_owned(), source }
}
