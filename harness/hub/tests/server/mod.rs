//! A hub on this machine: the endpoints the client uses, with faults on command. A second port plays the store of
//! large files, which must never see the token.

#![allow(dead_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgemaxx_contract::digest::Digest;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What goes wrong, and how often; everything at zero is a good hub.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    /// So many of the next downloads end after `cut_at` bytes.
    pub(crate) cut_downloads: u32,
    pub(crate) cut_at: usize,
    /// The store gives the whole file whatever range is asked for.
    pub(crate) ignore_range: bool,
    /// Large files come with a flipped bit, with more bytes, or with another size in the header.
    pub(crate) flip: bool,
    pub(crate) grow: bool,
    pub(crate) lie_size: bool,
    /// The information names another commit than was asked for.
    pub(crate) other_commit: bool,
    /// A file of the information has this name.
    pub(crate) evil_name: Option<String>,
    /// So many of the next requests are answered with this status.
    pub(crate) refuse: u32,
    pub(crate) status: u16,
    /// So many of the next uploads are cut in the middle.
    pub(crate) cut_uploads: u32,
    /// The next commit is made, but its answer is lost.
    pub(crate) lose_commit: bool,
    /// Somebody else commits just before the next commit.
    pub(crate) intrude: bool,
    /// Large files go up in parts of so many bytes.
    pub(crate) part_bytes: Option<usize>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) exists: bool,
    pub(crate) main: String,
    pub(crate) commits: BTreeMap<String, Files>,
    pub(crate) store: Files,
    pub(crate) parts: BTreeMap<(String, usize), Vec<u8>>,
    pub(crate) faults: Faults,
    /// Requests, as `METHOD path range authorised`.
    pub(crate) log: Vec<String>,
    /// Authorised requests at the store's port.
    pub(crate) leaks: usize,
}

impl State {
    pub(crate) fn push(&mut self, files: Files) -> String {
        let commit = format!("{:040x}", self.commits.len() + 0xabc);
        for content in files.values() {
            self.store.insert(Digest::of(content).to_string(), content.clone());
        }
        self.commits.insert(commit.clone(), files);
        self.main.clone_from(&commit);
        self.exists = true;
        commit
    }

    pub(crate) fn count(&self, start: &str) -> usize {
        self.log.iter().filter(|l| l.starts_with(start)).count()
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (hub, store) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", hub.local_addr().unwrap());
        let store_url = format!("http://{}", store.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        for (listener, is_store) in [(hub, false), (store, true)] {
            let (state, store_url) = (state.clone(), store_url.clone());
            std::thread::spawn(move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let (state, store_url) = (state.clone(), store_url.clone());
                    std::thread::spawn(move || serve(client, &state, &store_url, is_store));
                }
            });
        }
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Set the faults anew and forget what was asked so far.
    pub(crate) fn faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        state.log.clear();
    }
}

pub(crate) fn git_blob(content: &[u8]) -> String {
    let hash = Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content).finalize();
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors")
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

fn serve(client: TcpStream, state: &Mutex<State>, store_url: &str, is_store: bool) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    let request = Request { method, path, headers };
    let cut = {
        let mut state = state.lock().unwrap();
        let authorised = request.headers.contains_key("authorization");
        let range = request.headers.get("range").map_or("-", |r| r.as_str());
        state.log.push(format!("{} {} {range} {authorised}", request.method, request.path));
        state.leaks += (authorised && is_store) as usize;
        let cut = request.method == "PUT" && state.faults.cut_uploads > 0;
        state.faults.cut_uploads -= cut as u32;
        cut
    };
    if cut {
        reader.take(length as u64 / 2).read_to_end(&mut Vec::new()).ok()?;
        return client.shutdown(Shutdown::Both).ok();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = respond(&request, &body, &mut state.lock().unwrap(), store_url);
    let mut client = client;
    let Some((status, mut extra, mut content)) = answer else { return client.shutdown(Shutdown::Both).ok() };
    let announced = content.len();
    {
        let mut state = state.lock().unwrap();
        if request.path.starts_with("/cdn/") && state.faults.cut_downloads > 0 {
            state.faults.cut_downloads -= 1;
            content.truncate(state.faults.cut_at);
        }
    }
    extra.push(("connection".into(), "close".into()));
    extra.push(("content-length".into(), announced.to_string()));
    let head: String = extra.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    client.write_all(format!("HTTP/1.1 {status} X\r\n{head}\r\n").as_bytes()).ok()?;
    client.write_all(&content).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

type Answer = (u16, Vec<(String, String)>, Vec<u8>);

fn good(value: Value) -> Option<Answer> {
    Some((200, Vec::new(), value.to_string().into_bytes()))
}

/// `None`: the connection is cut instead of an answer.
fn respond(request: &Request, body: &[u8], state: &mut State, store_url: &str) -> Option<Answer> {
    if state.faults.refuse > 0 {
        state.faults.refuse -= 1;
        return Some((state.faults.status, Vec::new(), b"told to".to_vec()));
    }
    let path = request.path.split('?').next()?;
    // One repository, whatever its kind.
    let path = path.replacen("/api/datasets/", "/api/models/", 1).replacen("/datasets/", "/", 1);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let missing = || Some((404, Vec::new(), b"Repository not found".to_vec()));
    match (request.method.as_str(), &parts[..]) {
        ("GET", ["api", "models", _, _, "revision", revision]) => {
            let commit = if *revision == "main" { state.main.clone() } else { (*revision).to_owned() };
            let Some(files) = state.commits.get(&commit).filter(|_| state.exists) else { return missing() };
            let mut siblings: Vec<Value> =
                files.iter().map(|(path, content)| sibling(path, content)).collect();
            if let Some(name) = &state.faults.evil_name {
                siblings.push(sibling(name, b"x"));
            }
            let sha = if state.faults.other_commit { "f".repeat(40) } else { commit };
            good(json!({"id": "x", "sha": sha, "siblings": siblings}))
        }
        ("GET", [_, _, "resolve", commit, rest @ ..]) => {
            let path = rest.join("/");
            let Some(content) = state.commits.get(*commit).and_then(|f| f.get(&path)) else {
                return missing();
            };
            let mut headers = vec![("x-repo-commit".to_owned(), (*commit).to_owned())];
            if !is_large(&path) {
                return Some((200, headers, content.clone()));
            }
            let size = content.len() + state.faults.lie_size as usize;
            headers.push(("x-linked-size".into(), size.to_string()));
            headers.push(("location".into(), format!("{store_url}/cdn/{}?sig=secret", Digest::of(content))));
            Some((302, headers, Vec::new()))
        }
        ("GET", ["cdn", oid]) => {
            let mut content = state.store.get(*oid)?.clone();
            if state.faults.flip {
                *content.last_mut()? ^= 1;
            }
            if state.faults.grow {
                content.push(0);
            }
            let start = request.headers.get("range").filter(|_| !state.faults.ignore_range);
            let Some(start) = start else { return Some((200, Vec::new(), content)) };
            let start: usize = start.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            Some((206, vec![("content-range".into(), range)], content.split_off(start)))
        }
        ("POST", ["api", "repos", "create"]) => {
            if state.exists {
                return Some((409, Vec::new(), Vec::new()));
            }
            state.push(BTreeMap::from([("README.md".to_owned(), b"# card".to_vec())]));
            good(json!({"url": "x"}))
        }
        ("POST", ["api", "models", _, _, "preupload", "main"]) => {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let mode = |f: &Value| {
                let path = f["path"].as_str().unwrap();
                json!({"path": path, "uploadMode": if is_large(path) { "lfs" } else { "regular" }, "shouldIgnore": false})
            };
            good(json!({"files": asked["files"].as_array()?.iter().map(mode).collect::<Vec<_>>()}))
        }
        ("POST", [_, _, "info", "lfs", "objects", "batch"]) => {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let object = &asked["objects"][0];
            let (oid, size) = (object["oid"].as_str()?, object["size"].as_u64()? as usize);
            let mut answer = json!({"oid": oid, "size": size});
            if !state.store.contains_key(oid) {
                let href = format!("{store_url}/store/{oid}?sig=secret");
                let mut header = json!({"x-given": "1"});
                if let Some(part) = state.faults.part_bytes {
                    header = json!({"chunk_size": part.to_string()});
                    for n in 1..=size.div_ceil(part) {
                        header[format!("{n:05}")] = json!(format!("{href}&part={n}"));
                    }
                }
                answer["actions"] = json!({
                    "upload": {"href": href, "header": header},
                    "verify": {"href": format!("{store_url}/verify"), "header": {}},
                });
            }
            good(json!({"transfer": "basic", "objects": [answer]}))
        }
        ("PUT", ["store", oid]) => {
            if let Some((_, part)) = request.path.split_once("&part=") {
                state.parts.insert(((*oid).to_owned(), part.parse().ok()?), body.to_vec());
                return Some((200, vec![("etag".into(), format!("\"{part}\""))], Vec::new()));
            }
            assert_eq!(request.headers.get("x-given").map(String::as_str), Some("1"));
            assert_eq!(Digest::of(body).to_string(), *oid);
            state.store.insert((*oid).to_owned(), body.to_vec());
            Some((200, Vec::new(), Vec::new()))
        }
        ("POST", ["store", oid]) => {
            let done: Value = serde_json::from_slice(body).ok()?;
            let mut whole = Vec::new();
            for part in done["parts"].as_array()? {
                let n = part["partNumber"].as_u64()? as usize;
                assert_eq!(part["etag"], format!("\"{n}\""));
                whole.extend(state.parts.get(&((*oid).to_owned(), n))?);
            }
            assert_eq!(Digest::of(&whole).to_string(), *oid);
            state.store.insert((*oid).to_owned(), whole);
            good(json!({}))
        }
        ("POST", ["verify"]) => {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let stored = state.store.get(asked["oid"].as_str()?).map(Vec::len);
            if stored == asked["size"].as_u64().map(|n| n as usize) { good(json!({})) } else { missing() }
        }
        ("POST", ["api", "models", _, _, "commit", "main"]) => {
            if std::mem::take(&mut state.faults.intrude) {
                state.push(BTreeMap::from([("theirs.json".to_owned(), b"{}".to_vec())]));
            }
            let mut files = state.commits.get(&state.main)?.clone();
            for line in std::str::from_utf8(body).ok()?.lines() {
                let line: Value = serde_json::from_str(line).ok()?;
                let value = &line["value"];
                let path = value["path"].as_str().unwrap_or_default().to_owned();
                match line["key"].as_str()? {
                    "header" if value["parentCommit"].as_str()? != state.main => {
                        return Some((412, Vec::new(), b"A commit has happened since".to_vec()));
                    }
                    "header" => None,
                    "file" => files.insert(path, STANDARD.decode(value["content"].as_str()?).ok()?),
                    "lfsFile" => files.insert(path, state.store.get(value["oid"].as_str()?)?.clone()),
                    "deletedFile" => files.remove(&path),
                    other => panic!("{other}"),
                };
            }
            let commit = state.push(files);
            if std::mem::take(&mut state.faults.lose_commit) {
                return None;
            }
            good(json!({"commitOid": commit, "commitUrl": "x", "success": true}))
        }
        _ => missing(),
    }
}

fn sibling(path: &str, content: &[u8]) -> Value {
    let mut value = json!({"rfilename": path, "size": content.len(), "blobId": git_blob(content)});
    if is_large(path) {
        value["lfs"] = json!({"sha256": Digest::of(content), "size": content.len(), "pointerSize": 134});
    }
    value
}
