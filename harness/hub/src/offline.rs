//! What needs no network.

use crate::folder::{Resolved, resolve_folder};
use crate::{Cache, HubError, Rules, Source, git};

/// Resolve a source without any network: a folder as it is, a git mirror on this machine, a hub repository from
/// the local cache.
///
/// # Errors
/// When it is not there, breaks a rule, or could change its meaning later.
pub fn resolve_offline(source: &Source, cache: &Cache, rules: &Rules) -> Result<Resolved, HubError> {
    match source {
        Source::Path(path) => resolve_folder(path, path, None, rules),
        Source::Git { mirror, revision } => {
            let (commit, folder) = git::checkout(cache, mirror, revision.as_deref())?;
            resolve_folder(&folder, &folder, Some(commit), rules)
        }
        Source::Hub { repository, revision } => {
            let (commit, snapshot) = cache.snapshot(repository, revision.as_deref())?;
            resolve_folder(&snapshot, &cache.repository(repository), Some(commit), rules)
        }
    }
}
