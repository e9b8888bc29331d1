//! A repository's main branch on the hub: what it holds, and commits to it. Large files go to the hub's store first;
//! those that are there already are not sent again.

use crate::download::identify;
use crate::error::io;
use crate::http::{Http, Payload, accept, header, shown};
use crate::remote::{ContentId, Kept, Remote, RemoteFile};
use crate::{CheckpointFile, HubError, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgemaxx_contract::digest::Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const LFS: &str = "application/vnd.git-lfs+json";
const JSON: &str = "application/json";
/// Largest file that travels inside the commit itself.
const MAX_INLINE: u64 = 16 << 20;

/// A repository's main branch.
pub(crate) struct Branch<'a> {
    pub(crate) http: &'a Http,
    pub(crate) kept: Kept,
    /// `owner/name`.
    pub(crate) repository: &'a str,
    pub(crate) private: bool,
}

/// A file on this machine that is to be on the branch.
pub(crate) struct Local {
    /// Its path there.
    pub(crate) path: String,
    /// Where it is here.
    pub(crate) file: PathBuf,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

impl Local {
    /// `file` of `folder`, to be in the branch's folder `place`.
    pub(crate) fn of(folder: &Path, place: &str, file: &CheckpointFile) -> Self {
        let path = if place.is_empty() { file.path.clone() } else { format!("{place}/{}", file.path) };
        Self { path, file: folder.join(&file.path), size: file.size, digest: file.digest }
    }
}

/// Whether the branch's file is the local one.
pub(crate) fn equal(theirs: &RemoteFile, ours: &Local) -> Result<bool, HubError> {
    Ok(theirs.path == ours.path
        && theirs.size == ours.size
        && match &theirs.id {
            ContentId::Sha256(digest) => *digest == ours.digest,
            ContentId::GitBlob(_) => identify(&ours.file, theirs)? == theirs.id,
        })
}

impl Branch<'_> {
    /// Nothing is asked without a token: it could not succeed.
    pub(crate) fn allowed(&self) -> Result<(), HubError> {
        if self.http.has_token() { Ok(()) } else { Err(HubError::NoToken) }
    }

    /// What the branch holds; the repository is made if there is none.
    pub(crate) fn ask_or_create(&self) -> Result<Remote, HubError> {
        match Remote::ask(self.http, self.kept, self.repository, None) {
            Err(HubError::Status { status: 404, .. }) => {
                self.create()?;
                Remote::ask(self.http, self.kept, self.repository, None)
            }
            other => other,
        }
    }

    fn create(&self) -> Result<(), HubError> {
        let (owner, name) = self.repository.split_once('/').unwrap_or_default();
        let kind = self.kept.name();
        let body = json!({"type": kind, "organization": owner, "name": name, "private": self.private});
        let url = format!("{}/api/repos/create", self.http.endpoint);
        match self.http.post_json::<Value>(&url, &[], JSON, &body) {
            // It exists by now, perhaps through an earlier try of ours whose answer was lost.
            Ok(_) | Err(HubError::Status { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The paths that the hub wants in its store of large files.
    pub(crate) fn modes(&self, local: &[&Local]) -> Result<BTreeSet<String>, HubError> {
        #[derive(Deserialize)]
        struct Answer {
            files: Vec<Mode>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Mode {
            path: String,
            upload_mode: String,
        }
        let Self { http, kept, repository, .. } = self;
        let url = format!("{}/api/{}/{repository}/preupload/main", http.endpoint, kept.api());
        let mut large = BTreeSet::new();
        for files in local.chunks(256) {
            let mut list = Vec::new();
            for file in files {
                let mut sample = Vec::new();
                let opened = File::open(&file.file).map_err(io(&file.file))?;
                opened.take(512).read_to_end(&mut sample).map_err(io(&file.file))?;
                list.push(json!({"path": file.path, "size": file.size, "sample": STANDARD.encode(sample)}));
            }
            let answer: Answer = http.post_json(&url, &[], JSON, &json!({ "files": list }))?;
            large.extend(answer.files.into_iter().filter(|m| m.upload_mode == "lfs").map(|m| m.path));
        }
        if let Some(file) = local.iter().find(|f| f.size > MAX_INLINE && !large.contains(&f.path)) {
            let why = format!("wants {} ({} bytes) inside the commit", file.path, file.size);
            return Err(HubError::Answer { url: shown(&url), why });
        }
        Ok(large)
    }

    /// Send what the store lacks; the bytes sent.
    pub(crate) fn store(
        &self,
        local: &[&Local],
        large: &BTreeSet<String>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<u64, HubError> {
        let Self { http, kept, repository, .. } = self;
        let files: Vec<_> = local.iter().filter(|f| large.contains(&f.path)).collect();
        watch(Step::Begin { what: "upload", bytes: files.iter().map(|f| f.size).sum() });
        let url = format!("{}/{}{repository}.git/info/lfs/objects/batch", http.endpoint, kept.root());
        let mut sent = 0;
        for file in files {
            watch(Step::File(&file.path));
            let oid = file.digest.to_string();
            let ask = json!({
                "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
                "objects": [{"oid": oid, "size": file.size}],
            });
            let mut told = 0;
            let mut reach = |at: u64| {
                if at > told {
                    watch(Step::Bytes(at - told));
                    told = at;
                }
            };
            // A failed transfer asks again: addresses expire, and what arrived after all is not sent twice.
            let fresh = http.persist(
                || {
                    let batch: Batch = http.post_json(&url, &[("accept", LFS)], LFS, &ask)?;
                    let object = batch.objects.into_iter().find(|o| o.oid == oid && o.error.is_none());
                    let bad = || HubError::Answer { url: shown(&url), why: format!("refuses {}", file.path) };
                    let Some(actions) = object.ok_or_else(bad)?.actions else { return Ok(false) };
                    if let Some(action) = &actions.upload {
                        send(http, action, &oid, &file.file, file.size, &mut reach)?;
                    }
                    if let Some(action) = &actions.verify {
                        let body = json!({"oid": oid, "size": file.size}).to_string();
                        let answer = http.once(
                            "POST",
                            &action.href,
                            &headers(action),
                            Payload::Text(LFS, body.as_bytes()),
                        )?;
                        accept(&action.href, answer)?;
                    }
                    Ok(actions.upload.is_some())
                },
                || 0,
            )?;
            reach(file.size);
            sent += if fresh { file.size } else { 0 };
        }
        Ok(sent)
    }

    /// Puts files on the branch and takes others away. Another's commit in between is never overwritten; a lost
    /// answer is followed by a look, not by a second commit.
    pub(crate) fn commit(
        &self,
        message: &str,
        local: &[&Local],
        large: &BTreeSet<String>,
        gone: &[String],
        before: &Remote,
    ) -> Result<Remote, HubError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            commit_oid: String,
        }
        let Self { http, kept, repository, .. } = self;
        let mut lines = vec![json!({"key": "header", "value": {
            "summary": message, "description": "", "parentCommit": before.commit,
        }})];
        for file in local {
            lines.push(if large.contains(&file.path) {
                json!({"key": "lfsFile", "value": {
                    "path": file.path, "algo": "sha256", "oid": file.digest, "size": file.size,
                }})
            } else {
                let content = std::fs::read(&file.file).map_err(io(&file.file))?;
                if Digest::of(&content) != file.digest {
                    return Err(HubError::Changed { path: file.file.clone() });
                }
                json!({"key": "file", "value": {
                    "path": file.path, "encoding": "base64", "content": STANDARD.encode(content),
                }})
            });
        }
        lines.extend(gone.iter().map(|path| json!({"key": "deletedFile", "value": {"path": path}})));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let url = format!("{}/api/{}/{repository}/commit/main", http.endpoint, kept.api());
        let mut sent = false;
        http.persist(
            || {
                if std::mem::replace(&mut sent, true) {
                    let now = Remote::ask(http, *kept, repository, None)?;
                    if now.commit != before.commit {
                        return Ok(now);
                    }
                }
                let payload = Payload::Text("application/x-ndjson", text.as_bytes());
                let mut answer = accept(&url, http.once("POST", &url, &[], payload)?)?;
                let answer: Answer = serde_json::from_reader(answer.body_mut().as_reader().take(1 << 20))
                    .map_err(|e| HubError::Network { url: shown(&url), why: e.to_string() })?;
                Remote::ask(http, *kept, repository, Some(&answer.commit_oid))
            },
            || 0,
        )
    }
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

/// The plain headers of an action; numbers and sizes of parts are no headers.
fn headers(action: &Action) -> Vec<(&str, &str)> {
    let part = |name: &str| name == "chunk_size" || name.bytes().all(|b| b.is_ascii_digit());
    action
        .header
        .iter()
        .filter(|(n, _)| !part(n))
        .filter_map(|(n, v)| Some((n.as_str(), v.as_str()?)))
        .collect()
}

/// A file on its way up, telling how far it is.
struct Counted<'a> {
    file: &'a mut File,
    at: u64,
    reach: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.at += n as u64;
        (self.reach)(self.at);
        Ok(n)
    }
}

/// Send one file as the store asks for it: at once, or in parts.
fn send(
    http: &Http,
    action: &Action,
    oid: &str,
    path: &Path,
    size: u64,
    reach: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let mut file = File::open(path).map_err(io(path))?;
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let Some(chunk) = action.header.get("chunk_size").and_then(number).filter(|&c| c > 0) else {
        let mut whole = Counted { file: &mut file, at: 0, reach };
        let answer = http.once("PUT", &action.href, &headers(action), Payload::Stream(&mut whole, size))?;
        return accept(&action.href, answer).map(|_| ());
    };
    let urls: BTreeMap<u64, &str> =
        action.header.iter().filter_map(|(name, url)| Some((name.parse().ok()?, url.as_str()?))).collect();
    let count = size.div_ceil(chunk);
    if urls.len() as u64 != count || urls.keys().next() != Some(&1) || urls.keys().last() != Some(&count) {
        let why = format!("{} addresses for {count} parts of {chunk} bytes", urls.len());
        return Err(HubError::Answer { url: shown(&action.href), why });
    }
    let mut parts = Vec::new();
    for (number, url) in urls {
        let start = (number - 1) * chunk;
        let length = chunk.min(size - start);
        let etag = http.persist(
            || {
                file.seek(SeekFrom::Start(start)).map_err(io(path))?;
                let mut part = Counted { file: &mut file, at: start, reach: &mut *reach }.take(length);
                let answer = accept(url, http.once("PUT", url, &[], Payload::Stream(&mut part, length))?)?;
                let none = || HubError::Answer { url: shown(url), why: "gives no ETag".into() };
                header(&answer, "etag").ok_or_else(none)
            },
            || 0,
        )?;
        parts.push(json!({"partNumber": number, "etag": etag}));
    }
    let body = json!({"oid": oid, "parts": parts}).to_string();
    let answer = http.once("POST", &action.href, &[("accept", LFS)], Payload::Text(LFS, body.as_bytes()))?;
    accept(&action.href, answer).map(|_| ())
}
