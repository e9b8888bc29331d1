//! What the cache is told of commits that were fetched.

use std::fs;

use hf_hub::{Repo, RepoType};

use crate::error::io;
use crate::{Cache, HubError, Resolved, Rules, resolve_folder};

impl Cache {
    /// Notes which commit the name of a revision stands for.
    pub(crate) fn name_commit(&self, repository: &str, name: &str, commit: &str) -> std::io::Result<()> {
        let repo = Repo::with_revision(repository.to_owned(), RepoType::Model, name.to_owned());
        hf_hub::Cache::new(self.0.clone()).repo(repo).create_ref(commit)
    }

    /// A commit that was once fetched whole, if it is still what it was then.
    pub(crate) fn whole(&self, repository: &str, commit: &str, rules: &Rules) -> Option<Resolved> {
        let noted = fs::read_to_string(self.note(repository, commit)).ok()?;
        let snapshot = self.commit(repository, commit);
        let resolved =
            resolve_folder(&snapshot, &self.repository(repository), Some(commit.to_owned()), rules).ok()?;
        (contents(&resolved) == noted).then_some(resolved)
    }

    /// Notes that a commit is here as a whole.
    pub(crate) fn note_whole(
        &self,
        repository: &str,
        commit: &str,
        resolved: &Resolved,
    ) -> Result<(), HubError> {
        let path = self.note(repository, commit);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let part = path.with_extension(format!("{}.part", std::process::id()));
        fs::write(&part, contents(resolved)).map_err(io(&part))?;
        fs::rename(&part, &path).map_err(io(&path))
    }
}

/// A commit's files with their sizes and digests, as text.
fn contents(resolved: &Resolved) -> String {
    resolved.files.iter().map(|file| format!("{} {} {}\n", file.digest, file.size, file.path)).collect()
}
