//! The Hugging Face cache: `<cache>/models--owner--name/{refs/<name>, blobs/<etag>, snapshots/<commit>/…}`, laid out by
//! hf-hub, so that Hugging Face's other tools find what is there and need not fetch it again.

use crate::HubError;
use crate::error::io;
use crate::source::is_commit;
use hf_hub::Repo;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A cache folder in Hugging Face's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache(pub(crate) PathBuf);

/// The folder of Hugging Face's own tools, by their variables: `HF_HOME`, else `XDG_CACHE_HOME`/huggingface, else
/// ~/.cache/huggingface.
pub(crate) fn home(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    let folder = |name: &str| set(&get, name).map(PathBuf::from);
    folder("HF_HOME")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/huggingface")))
        .unwrap_or_else(|| PathBuf::from(".cache/huggingface"))
}

/// What a variable says, unless it is empty.
pub(crate) fn set(get: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    get(name).filter(|value| !value.is_empty())
}

impl Cache {
    /// The cache at `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where Hugging Face's own tools keep it, by their variables: `HF_HUB_CACHE` (once `HUGGINGFACE_HUB_CACHE`), else
    /// `hub` in the folder of their own (`HF_HOME`).
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let named = set(&get, "HF_HUB_CACHE").or_else(|| set(&get, "HUGGINGFACE_HUB_CACHE"));
        Self(named.map_or_else(|| home(&get).join("hub"), PathBuf::from))
    }

    /// The folder of one repository (`owner/name`).
    pub fn repository(&self, repository: &str) -> PathBuf {
        self.0.join(Repo::model(repository.to_owned()).folder_name())
    }

    /// The folder of one commit of a repository.
    pub(crate) fn commit(&self, repository: &str, commit: &str) -> PathBuf {
        hf_hub::Cache::new(self.0.clone()).model(repository.to_owned()).pointer_path(commit)
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

    /// Where it is noted that a commit was fetched whole.
    pub(crate) fn note(&self, repository: &str, commit: &str) -> PathBuf {
        self.repository(repository).join("edgemaxx-whole").join(commit)
    }

    /// Removes a commit of a repository: its snapshot, the plain files placed beside it, and the contents that no
    /// other snapshot of the repository uses. The bytes made free. What an interruption leaves is finished by the
    /// next call; what is not there is no error.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, repository: &str, commit: &str) -> Result<u64, HubError> {
        let folder = self.repository(repository);
        let snapshot = self.commit(repository, commit);
        // Not usable from the first moment on; its links stay valid, as it stays at this depth.
        let trash = snapshot.with_file_name(format!(".{commit}.removed"));
        if snapshot.is_dir() && !trash.exists() {
            fs::rename(&snapshot, &trash).map_err(io(&snapshot))?;
        }
        let mut free = 0;
        if trash.is_dir() {
            let mut contents = BTreeSet::new();
            targets(&trash, &mut contents)?;
            let mut used = BTreeSet::new();
            for entry in fs::read_dir(folder.join("snapshots")).map_err(io(&folder))? {
                let other = entry.map_err(io(&folder))?.path();
                if other != trash {
                    targets(&other, &mut used)?;
                }
            }
            let blobs = folder.canonicalize().map_err(io(&folder))?.join("blobs");
            for content in contents.difference(&used).filter(|content| content.starts_with(&blobs)) {
                free += fs::metadata(content).map_or(0, |metadata| metadata.len());
                fs::remove_file(content).map_err(io(content))?;
            }
        }
        let _ = fs::remove_file(self.note(repository, commit));
        let placed = folder.join("edgemaxx").join(commit);
        for folder in [&placed, &trash].into_iter().filter(|folder| folder.is_dir()) {
            fs::remove_dir_all(folder).map_err(io(folder))?;
        }
        Ok(free)
    }
}

/// What the files of a snapshot are in truth; links to nothing are left out.
fn targets(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), HubError> {
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            targets(&entry.path(), found)?;
        } else if let Ok(target) = entry.path().canonicalize() {
            found.insert(target);
        }
    }
    Ok(())
}

fn read_ref(path: &Path) -> Option<String> {
    // A reference is one commit; anything longer is none.
    let text = std::fs::read(path).ok().filter(|t| t.len() <= 128)?;
    Some(String::from_utf8(text).ok()?.trim().to_owned())
}
