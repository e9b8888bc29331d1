//! A folder becomes a commit on the hub: one commit makes the branch's checkpoint equal to the folder's; other files
//! (a model card) stay. A sealed day becomes a folder of a dataset. The result is read back.

use crate::branch::{Branch, Local, equal};
use crate::http::Http;
use crate::remote::{Kept, Remote, RemoteFile};
use crate::rules::{Rules, kind};
use crate::{CheckpointFile, HubError, Step, resolve_folder};
use edgemaxx_contract::digest::Digest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Files of one commit at most: more take the hub too long.
const COMMIT_FILES: usize = 500;

/// What to publish.
#[derive(Debug, Clone)]
pub struct Upload<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// The checkpoint's folder.
    pub folder: &'a Path,
    /// The commit's message.
    pub message: &'a str,
    /// Whether a repository that has to be made is private: no validator can read it then.
    pub private: bool,
}

/// Files to publish in a dataset repository.
#[derive(Debug, Clone)]
pub struct FilesUpload<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// Where the files are.
    pub folder: &'a Path,
    /// The repository's folder that is to hold them and nothing else.
    pub place: &'a str,
    /// The files; the last one is there only when all others are.
    pub files: &'a [CheckpointFile],
    /// The commits' message.
    pub message: &'a str,
    /// Whether a repository that has to be made is private.
    pub private: bool,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// `owner/name`.
    pub repository: String,
    /// The full commit.
    pub revision: String,
    /// Whether the hub held exactly this already, so that nothing was committed.
    pub already: bool,
    /// Bytes that had to be sent to the store of large files.
    pub sent_bytes: u64,
    /// The checkpoint's identity, as every other machine will find it; of files, the last one's.
    pub digest: Digest,
}

pub(crate) fn publish(
    http: &Http,
    upload: &Upload<'_>,
    rules: &Rules,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Published, HubError> {
    let Upload { repository, folder, private, .. } = *upload;
    let branch = Branch { http, kept: Kept::Model, repository, private };
    branch.allowed()?;
    let resolved = resolve_folder(folder, folder, None, rules)?;
    let local: Vec<Local> = resolved.files.iter().map(|file| Local::of(&resolved.root, "", file)).collect();
    let mut remote = branch.ask_or_create()?;
    let ours = |path: &str| rules.takes(kind(path));
    let already = same(&remote, &local, &ours)?;
    let mut sent_bytes = 0;
    if !already {
        let local: Vec<&Local> = local.iter().collect();
        let large = branch.modes(&local)?;
        sent_bytes = branch.store(&local, &large, watch)?;
        let gone = remote.files.iter().filter(|f| ours(&f.path));
        let gone: Vec<String> =
            gone.filter(|f| local.iter().all(|l| l.path != f.path)).map(|f| f.path.clone()).collect();
        remote = branch.commit(upload.message, &local, &large, &gone, &remote)?;
    }
    // Read back: another's commit in between is no success of ours.
    if !same(&remote, &local, &ours)? {
        return Err(HubError::Conflict { repository: repository.to_owned(), commit: remote.commit });
    }
    Ok(Published {
        repository: repository.to_owned(),
        revision: remote.commit,
        already,
        sent_bytes,
        digest: resolved.digest,
    })
}

/// Sends what the repository lacks; what an earlier try sent is not sent again.
pub(crate) fn publish_files(
    http: &Http,
    upload: &FilesUpload<'_>,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Published, HubError> {
    let FilesUpload { repository, folder, place, files, message, private } = *upload;
    let Some(last) = files.last() else { return Err(HubError::Empty { path: folder.to_owned() }) };
    let branch = Branch { http, kept: Kept::Dataset, repository, private };
    branch.allowed()?;
    let local: Vec<Local> = files.iter().map(|file| Local::of(folder, place, file)).collect();
    let mut remote = branch.ask_or_create()?;
    let (mut missing, gone) = difference(&remote, &local, place)?;
    let already = missing.is_empty() && gone.is_empty();
    let mut sent_bytes = 0;
    // The last file travels in the last commit, with what has to go.
    let end = missing.pop_if(|file| file.digest == last.digest);
    for files in missing.chunks(COMMIT_FILES) {
        let large = branch.modes(files)?;
        sent_bytes += branch.store(files, &large, watch)?;
        remote = branch.commit(message, files, &large, &[], &remote)?;
    }
    if end.is_some() || !gone.is_empty() {
        let files: Vec<&Local> = end.into_iter().collect();
        let large = branch.modes(&files)?;
        sent_bytes += branch.store(&files, &large, watch)?;
        remote = branch.commit(message, &files, &large, &gone, &remote)?;
    }
    if !already {
        let (missing, gone) = difference(&remote, &local, place)?;
        if !missing.is_empty() || !gone.is_empty() {
            return Err(HubError::Conflict { repository: repository.to_owned(), commit: remote.commit });
        }
    }
    Ok(Published {
        repository: repository.to_owned(),
        revision: remote.commit,
        already,
        sent_bytes,
        digest: last.digest,
    })
}

/// The local files that `place` lacks, in order, and the files there that are none of them.
fn difference<'a>(
    remote: &Remote,
    local: &'a [Local],
    place: &str,
) -> Result<(Vec<&'a Local>, Vec<String>), HubError> {
    let inside = |file: &&RemoteFile| file.path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
    let mut theirs: BTreeMap<&str, &RemoteFile> =
        remote.files.iter().filter(inside).map(|file| (file.path.as_str(), file)).collect();
    let mut missing = Vec::new();
    for ours in local {
        match theirs.remove(ours.path.as_str()) {
            Some(file) if equal(file, ours)? => {}
            _ => missing.push(ours),
        }
    }
    Ok((missing, theirs.into_keys().map(str::to_owned).collect()))
}

/// Whether the files of the branch that `ours` names are exactly the local ones.
fn same(remote: &Remote, local: &[Local], ours: &dyn Fn(&str) -> bool) -> Result<bool, HubError> {
    let theirs: Vec<&RemoteFile> = remote.files.iter().filter(|f| ours(&f.path)).collect();
    if theirs.len() != local.len() {
        return Ok(false);
    }
    for (theirs, ours) in theirs.iter().zip(local) {
        if !equal(theirs, ours)? {
            return Ok(false);
        }
    }
    Ok(true)
}
