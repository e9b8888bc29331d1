//! What a repository on the hub holds at a revision, as the hub says; nothing of it is believed without a digest.

use crate::HubError;
use crate::http::{Http, shown};
use crate::rules::{Rules, within};
use crate::source::is_commit;
use edgemaxx_contract::digest::Digest;
use serde::Deserialize;
use std::path::PathBuf;

/// What a repository is on the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Checkpoints.
    Model,
    /// Anything else: published days.
    Dataset,
}

impl Kept {
    /// The kind in addresses of the hub's interface.
    pub(crate) fn api(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// The kind as the hub is told it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }

    /// What stands before the name of a repository in its own address.
    pub(crate) fn root(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }
}

/// A file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) id: ContentId,
}

/// How the hub names a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentId {
    /// SHA-256 of a large file.
    Sha256(Digest),
    /// Git's SHA-1 of `blob SIZE\0` and the content.
    GitBlob(String),
}

impl ContentId {
    /// The name of the blob in the cache.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sha256(digest) => digest.to_string(),
            Self::GitBlob(id) => id.clone(),
        }
    }
}

/// A revision's commit and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) commit: String,
    /// By path.
    pub(crate) files: Vec<RemoteFile>,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "oid")]
    sha256: String,
    size: u64,
}

impl Remote {
    /// Ask for the revision (`main` where none is named).
    pub(crate) fn ask(
        http: &Http,
        kept: Kept,
        repository: &str,
        revision: Option<&str>,
    ) -> Result<Self, HubError> {
        let revision = revision.unwrap_or("main");
        let url = format!(
            "{}/api/{}/{repository}/revision/{}?blobs=true",
            http.endpoint,
            kept.api(),
            revision.replace('/', "%2F")
        );
        let info: Info = http.get_json(&url)?;
        let lie = |what: String, expected: &str, found: &str| HubError::Lie {
            url: shown(&url),
            what,
            expected: expected.to_owned(),
            found: found.chars().take(100).collect(),
        };
        if !is_commit(&info.sha) {
            return Err(lie("commit".into(), "40 or 64 hexadecimal digits", &info.sha));
        }
        if is_commit(revision) && info.sha != revision {
            return Err(lie("commit".into(), revision, &info.sha));
        }
        let mut files = Vec::with_capacity(info.siblings.len());
        for Sibling { rfilename: path, size, blob_id, lfs } in info.siblings {
            if !is_plain(&path) {
                return Err(lie(
                    "file name".into(),
                    "a plain relative path",
                    &path.escape_debug().to_string(),
                ));
            }
            let (size, id) = match (lfs, size, blob_id) {
                (Some(lfs), ..) => {
                    let digest = lfs.sha256.parse();
                    let digest =
                        digest.map_err(|_| lie(format!("sha256 of {path}"), "64 digits", &lfs.sha256))?;
                    (lfs.size, ContentId::Sha256(digest))
                }
                (None, Some(size), Some(id)) if id.len() == 40 && is_commit(&id) => {
                    (size, ContentId::GitBlob(id))
                }
                (_, size, id) => {
                    return Err(lie(format!("size and id of {path}"), "both", &format!("{size:?}, {id:?}")));
                }
            };
            files.push(RemoteFile { path, size, id });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(pair) = files.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(lie("files".into(), "each named once", &pair[0].path));
        }
        Ok(Self { commit: info.sha, files })
    }

    /// The files that belong to a checkpoint, after their number and sizes were found within the limits.
    pub(crate) fn taken(&self, repository: &str, rules: &Rules) -> Result<Vec<&RemoteFile>, HubError> {
        let root = PathBuf::from(format!("hf:{repository}/"));
        within(&root, "files", self.files.len() as u64, rules.max_files)?;
        let (taken, _) = rules.choose(&root, &self.files, |file| (&file.path, file.size))?;
        Ok(taken)
    }
}

/// A relative path that stays below its folder on every system.
fn is_plain(path: &str) -> bool {
    path.len() <= 500
        && path.split('/').count() <= 8
        && path.split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && !part.contains(['\\', ':'])
                && !part.chars().any(char::is_control)
                && !part.ends_with(".incomplete")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_folder_are_not_plain() {
        assert!(is_plain("unet/diffusion_pytorch_model.safetensors") && is_plain(".gitattributes"));
        for bad in
            ["", "/etc/passwd", "../x", "a/../x", "a//b", "a\\b", "c:x", "a/\n", "a/b/", "1/2/3/4/5/6/7/8/9"]
        {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
