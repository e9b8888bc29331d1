//! The Hugging Face cache: `<cache>/models--owner--name/{refs/<name>, blobs/<etag>, snapshots/<commit>/…}`, laid out by
//! hf-hub, so that Hugging Face's other tools find what is there and need not fetch it again.

use crate::HubError;
use crate::source::is_commit;
use hf_hub::{Repo, RepoType};
use std::path::{Path, PathBuf};

/// A cache folder in Hugging Face's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache(PathBuf);

impl Cache {
    /// The cache at `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where Hugging Face's own tools keep it, by their variables: `HF_HUB_CACHE`, else `HF_HOME`/hub,
    /// else `XDG_CACHE_HOME`/huggingface/hub, else ~/.cache/huggingface/hub.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = set("HF_HUB_CACHE")
            .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
            .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/huggingface/hub")))
            .unwrap_or_else(|| PathBuf::from(".cache/huggingface/hub"));
        Self(folder)
    }

    /// The folder of one repository (`owner/name`).
    pub fn repository(&self, repository: &str) -> PathBuf {
        self.0.join(Repo::model(repository.to_owned()).folder_name())
    }

    /// The folder of one commit of a repository.
    pub(crate) fn commit(&self, repository: &str, commit: &str) -> PathBuf {
        hf_hub::Cache::new(self.0.clone()).model(repository.to_owned()).pointer_path(commit)
    }

    /// Notes which commit the name of a revision stands for.
    pub(crate) fn name_commit(&self, repository: &str, name: &str, commit: &str) -> std::io::Result<()> {
        let repo = Repo::with_revision(repository.to_owned(), RepoType::Model, name.to_owned());
        hf_hub::Cache::new(self.0.clone()).repo(repo).create_ref(commit)
    }

    /// Where clones of git mirrors are kept.
    pub(crate) fn mirrors(&self) -> PathBuf {
        self.0.join("edgemaxx-mirrors")
    }

    /// The full commit and the folder of a revision that is in the cache.
    ///
    /// # Errors
    /// When it is not there.
    pub fn snapshot(&self, repository: &str, revision: Option<&str>) -> Result<(String, PathBuf), HubError> {
        let revision = revision.unwrap_or("main");
        let folder = self.repository(repository);
        let missing = || HubError::NotCached {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            cache: self.0.clone(),
        };
        let commit = if is_commit(revision) {
            revision.to_owned()
        } else {
            let text = read_ref(&folder.join("refs").join(revision)).ok_or_else(missing)?;
            if is_commit(&text) { text } else { return Err(missing()) }
        };
        let snapshot = self.commit(repository, &commit);
        if snapshot.is_dir() { Ok((commit, snapshot)) } else { Err(missing()) }
    }
}

fn read_ref(path: &Path) -> Option<String> {
    // A reference is one commit; anything longer is none.
    let text = std::fs::read(path).ok().filter(|t| t.len() <= 128)?;
    Some(String::from_utf8(text).ok()?.trim().to_owned())
}
