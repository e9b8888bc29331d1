//! Checkpoints: where they come from, which files they consist of, and what exactly those files are.
//!
//! A source is resolved to a folder, a revision and a digest per file before anything is measured.

#![forbid(unsafe_code)]

mod cache;
mod error;
mod folder;
mod rules;
mod source;

pub use cache::Cache;
pub use error::HubError;
pub use folder::{CheckpointFile, Resolved, resolve_folder};
pub use rules::{Kind, Rules, kind};
pub use source::Source;

/// Resolve a source without any network: a folder as it is, a hub repository from the local cache.
///
/// # Errors
/// When it is not there, breaks a rule, or could change its meaning later.
pub fn resolve_offline(source: &Source, cache: &Cache, rules: &Rules) -> Result<Resolved, HubError> {
    match source {
        Source::Path(path) => resolve_folder(path, path, None, rules),
        Source::Hub { repository, revision } => {
            let (commit, snapshot) = cache.snapshot(repository, revision.as_deref())?;
            resolve_folder(&snapshot, &cache.repository(repository), Some(commit), rules)
        }
    }
}
