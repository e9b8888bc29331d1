//! A folder becomes a commit on the hub: large files go to its store first (those that are there already are not
//! sent again), then one commit makes the branch's checkpoint equal to the folder's; other files (a model card) stay. The result is read back.

use crate::download::{identify, io};
use crate::http::{Http, Payload, accept, header, shown};
use crate::remote::{ContentId, Remote, RemoteFile};
use crate::rules::{Rules, kind};
use crate::{HubError, Resolved, Step, resolve_folder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgemaxx_contract::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const LFS: &str = "application/vnd.git-lfs+json";
const JSON: &str = "application/json";
/// Largest file that travels inside the commit itself.
const MAX_INLINE: u64 = 16 << 20;

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
    /// The checkpoint's identity, as every other machine will find it.
    pub digest: Digest,
}

pub(crate) fn publish(
    http: &Http,
    upload: &Upload<'_>,
    rules: &Rules,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Published, HubError> {
    if !http.has_token() {
        return Err(HubError::NoToken);
    }
    let Upload { repository, folder, .. } = *upload;
    let local = resolve_folder(folder, folder, None, rules)?;
    let mut remote = match Remote::ask(http, repository, None) {
        Err(HubError::Status { status: 404, .. }) => {
            create(http, upload)?;
            Remote::ask(http, repository, None)?
        }
        other => other?,
    };
    let mut already = true;
    let mut sent_bytes = 0;
    if !same(&remote, &local, rules)? {
        already = false;
        let large = modes(http, repository, folder, &local)?;
        sent_bytes = store(http, repository, &local, &large, watch)?;
        remote = commit(http, upload, &local, &large, remote, rules)?;
    }
    Ok(Published {
        repository: repository.to_owned(),
        revision: remote.commit,
        already,
        sent_bytes,
        digest: local.digest,
    })
}

fn create(http: &Http, upload: &Upload<'_>) -> Result<(), HubError> {
    let (owner, name) = upload.repository.split_once('/').unwrap_or_default();
    let body = json!({"type": "model", "organization": owner, "name": name, "private": upload.private});
    match http.post_json::<Value>(&format!("{}/api/repos/create", http.endpoint), &[], JSON, &body) {
        // It exists by now, perhaps through an earlier try of ours whose answer was lost.
        Ok(_) | Err(HubError::Status { status: 409, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the hub's branch holds exactly the folder's checkpoint.
fn same(remote: &Remote, local: &Resolved, rules: &Rules) -> Result<bool, HubError> {
    let theirs: Vec<&RemoteFile> = remote.files.iter().filter(|f| rules.takes(kind(&f.path))).collect();
    if theirs.len() != local.files.len() {
        return Ok(false);
    }
    for (theirs, ours) in theirs.iter().zip(&local.files) {
        let equal = theirs.path == ours.path
            && theirs.size == ours.size
            && match &theirs.id {
                ContentId::Sha256(digest) => *digest == ours.digest,
                ContentId::GitBlob(_) => identify(&local.root.join(&ours.path), theirs)? == theirs.id,
            };
        if !equal {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The paths that the hub wants in its store of large files.
fn modes(
    http: &Http,
    repository: &str,
    folder: &Path,
    local: &Resolved,
) -> Result<BTreeSet<String>, HubError> {
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
    let url = format!("{}/api/models/{repository}/preupload/main", http.endpoint);
    let mut large = BTreeSet::new();
    for files in local.files.chunks(256) {
        let mut list = Vec::new();
        for file in files {
            let path = folder.join(&file.path);
            let mut sample = Vec::new();
            File::open(&path).map_err(io(&path))?.take(512).read_to_end(&mut sample).map_err(io(&path))?;
            list.push(json!({"path": file.path, "size": file.size, "sample": STANDARD.encode(sample)}));
        }
        let answer: Answer = http.post_json(&url, &[], JSON, &json!({ "files": list }))?;
        large.extend(answer.files.into_iter().filter(|m| m.upload_mode == "lfs").map(|m| m.path));
    }
    if let Some(file) = local.files.iter().find(|f| f.size > MAX_INLINE && !large.contains(&f.path)) {
        let why = format!("wants {} ({} bytes) inside the commit", file.path, file.size);
        return Err(HubError::Answer { url: shown(&url), why });
    }
    Ok(large)
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

/// Send what the store lacks; the bytes sent.
fn store(
    http: &Http,
    repository: &str,
    local: &Resolved,
    large: &BTreeSet<String>,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<u64, HubError> {
    let files: Vec<_> = local.files.iter().filter(|f| large.contains(&f.path)).collect();
    watch(Step::Begin { what: "upload", bytes: files.iter().map(|f| f.size).sum() });
    let url = format!("{}/{repository}.git/info/lfs/objects/batch", http.endpoint);
    let mut sent = 0;
    for file in files {
        watch(Step::File(&file.path));
        let path = local.root.join(&file.path);
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
                    send(http, action, &oid, &path, file.size, &mut reach)?;
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

/// Make the branch equal to the folder. Another's commit in between is never overwritten; a lost answer is
/// followed by a look, not by a second commit.
fn commit(
    http: &Http,
    upload: &Upload<'_>,
    local: &Resolved,
    large: &BTreeSet<String>,
    before: Remote,
    rules: &Rules,
) -> Result<Remote, HubError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        commit_oid: String,
    }
    let mut lines = vec![json!({"key": "header", "value": {
        "summary": upload.message, "description": "", "parentCommit": before.commit,
    }})];
    for file in &local.files {
        lines.push(if large.contains(&file.path) {
            json!({"key": "lfsFile", "value": {
                "path": file.path, "algo": "sha256", "oid": file.digest, "size": file.size,
            }})
        } else {
            let path = local.root.join(&file.path);
            let content = std::fs::read(&path).map_err(io(&path))?;
            if Digest::of(&content) != file.digest {
                return Err(HubError::Changed { path });
            }
            json!({"key": "file", "value": {
                "path": file.path, "encoding": "base64", "content": STANDARD.encode(content),
            }})
        });
    }
    let gone = before.files.iter().filter(|f| rules.takes(kind(&f.path)));
    for file in gone.filter(|f| local.files.iter().all(|l| l.path != f.path)) {
        lines.push(json!({"key": "deletedFile", "value": {"path": file.path}}));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let url = format!("{}/api/models/{}/commit/main", http.endpoint, upload.repository);
    let mut sent = false;
    let after = http.persist(
        || {
            if std::mem::replace(&mut sent, true) {
                let now = Remote::ask(http, upload.repository, None)?;
                if now.commit != before.commit {
                    return Ok(now);
                }
            }
            let payload = Payload::Text("application/x-ndjson", text.as_bytes());
            let mut answer = accept(&url, http.once("POST", &url, &[], payload)?)?;
            let answer: Answer = serde_json::from_reader(answer.body_mut().as_reader().take(1 << 20))
                .map_err(|e| HubError::Network { url: shown(&url), why: e.to_string() })?;
            Remote::ask(http, upload.repository, Some(&answer.commit_oid))
        },
        || 0,
    )?;
    match same(&after, local, rules)? {
        true => Ok(after),
        false => Err(HubError::Conflict { repository: upload.repository.to_owned(), commit: after.commit }),
    }
}
