//! What can be wrong with a checkpoint, each with the next step.

use std::path::PathBuf;

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not a source.
    #[error("`{text}` is no checkpoint source: {why}; expected path:FOLDER or hf:owner/name@revision")]
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
    #[error("{repository}: revision {revision} is not in the cache {}; fetch it first with `hf download {repository} --revision {revision}`", cache.display())]
    NotCached {
        /// `owner/name`.
        repository: String,
        /// The revision asked for.
        revision: String,
        /// Where was looked.
        cache: PathBuf,
    },
    /// A link that leads out of the checkpoint.
    #[error("{}: a link out of the checkpoint (to {}); put the file itself there", path.display(), target.display())]
    Escape {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file's name that is not plain.
    #[error("{}: a checkpoint's file names are UTF-8 without control characters or backslashes; rename it", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Neither a file nor a folder.
    #[error("{}: expected a plain file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Too much of something.
    #[error("{}: {what} {found}, at most {limit} allowed; remove what the checkpoint does not need", path.display())]
    Limit {
        /// File or folder.
        path: PathBuf,
        /// "size in bytes", "total size in bytes", "files".
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Nothing usable.
    #[error("{}: holds no checkpoint file (safetensors, json, txt, toml); check the source", path.display())]
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
}
