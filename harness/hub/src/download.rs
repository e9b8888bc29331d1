//! From the hub into the cache, in Hugging Face's layout: what is there is kept, what is half there is continued,
//! what does not have the promised size and digest is thrown away.

use crate::error::io;
use crate::http::{Http, header, shown};
use crate::remote::{ContentId, Kept, Remote, RemoteFile};
use crate::rules::Rules;
use crate::source::is_commit;
use crate::{Cache, HubError, Resolved, Step, resolve_folder};
use edgemaxx_contract::digest::DigestBuilder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::{Digest as _, Sha1};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Fetch what is missing of a revision and resolve it.
pub(crate) fn fetch(
    http: &Http,
    cache: &Cache,
    repository: &str,
    revision: Option<&str>,
    rules: &Rules,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<Resolved, HubError> {
    // A full revision never changes: what is whole here needs no hub, which may not even have it any more.
    if let Some(commit) = revision.filter(|revision| is_commit(revision))
        && let Some(whole) = cache.whole(repository, commit, rules)
    {
        return Ok(whole);
    }
    let remote = Remote::ask(http, Kept::Model, repository, revision)?;
    let files = remote.taken(repository, rules)?;
    let folder = cache.repository(repository);
    let snapshot = cache.commit(repository, &remote.commit);
    watch(Step::Begin { what: "download", bytes: files.iter().map(|f| f.size).sum() });
    for &file in &files {
        watch(Step::File(&file.path));
        let url = format!("{}/{repository}/resolve/{}/{}", http.endpoint, remote.commit, encoded(&file.path));
        let blob = blob(http, &folder.join("blobs"), &url, &remote.commit, file, watch)?;
        link(&blob, &snapshot, &file.path)?;
    }
    let name = revision.unwrap_or("main");
    if !is_commit(name) {
        cache.name_commit(repository, name, &remote.commit).map_err(io(&folder.join("refs").join(name)))?;
    }
    let resolved = resolve_folder(&snapshot, &folder, Some(remote.commit.clone()), rules)?;
    agree(&resolved, &files)?;
    cache.note_whole(repository, &remote.commit, &resolved)?;
    Ok(resolved)
}

/// The folder in the cache holds exactly what the hub promised; a cache can be damaged, too.
fn agree(resolved: &Resolved, files: &[&RemoteFile]) -> Result<(), HubError> {
    let wrong = |path: &str| HubError::Damaged { path: resolved.root.join(path) };
    for (i, file) in files.iter().enumerate() {
        let found = resolved.files.get(i).filter(|f| f.path == file.path && f.size == file.size);
        let found = found.ok_or_else(|| wrong(&file.path))?;
        let good = match &file.id {
            ContentId::Sha256(digest) => found.digest == *digest,
            ContentId::GitBlob(_) => identify(&resolved.root.join(&file.path), file)? == file.id,
        };
        if !good {
            return Err(wrong(&file.path));
        }
    }
    match resolved.files.get(files.len()) {
        Some(extra) => Err(wrong(&extra.path)),
        None => Ok(()),
    }
}

/// The file's content in the cache, by its own name.
fn blob(
    http: &Http,
    blobs: &Path,
    url: &str,
    commit: &str,
    file: &RemoteFile,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<PathBuf, HubError> {
    let target = blobs.join(file.id.name());
    if fs::metadata(&target).is_ok_and(|m| m.is_file() && m.len() == file.size) {
        watch(Step::Bytes(file.size));
        return Ok(target);
    }
    let partial = blobs.join(format!("{}.incomplete", file.id.name()));
    make_parent(&partial)?;
    let mut out =
        OpenOptions::new().read(true).append(true).create(true).open(&partial).map_err(io(&partial))?;
    // Another process that fetches the same content is waited for; then there is nothing left to do.
    out.lock().map_err(io(&partial))?;
    if fs::metadata(&target).is_ok_and(|m| m.len() == file.size) {
        watch(Step::Bytes(file.size));
        return Ok(target);
    }
    let mut have = out.metadata().map_err(io(&partial))?.len();
    if have > file.size {
        out.set_len(0).map_err(io(&partial))?;
        have = 0;
    }
    watch(Step::Bytes(have));
    let reached = Cell::new(have);
    let transfer = Transfer { http, url, commit, file, partial: &partial };
    http.persist(
        || -> Result<(), HubError> {
            while reached.get() < file.size {
                transfer.piece(&mut out, &reached, watch)?;
            }
            Ok(())
        },
        || reached.get(),
    )?;
    out.sync_all().map_err(io(&partial))?;
    let found = identify(&partial, file)?;
    if found != file.id {
        let _ = fs::remove_file(&partial);
        return Err(HubError::Lie {
            url: shown(url),
            what: "digest".into(),
            expected: file.id.name(),
            found: found.name(),
        });
    }
    fs::rename(&partial, &target).map_err(io(&target))?;
    Ok(target)
}

/// One file on its way.
struct Transfer<'a> {
    http: &'a Http,
    url: &'a str,
    commit: &'a str,
    file: &'a RemoteFile,
    partial: &'a Path,
}

impl Transfer<'_> {
    /// One request from where the file ends now.
    fn piece(
        &self,
        out: &mut File,
        reached: &Cell<u64>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), HubError> {
        let Self { url, commit, file, partial, .. } = *self;
        let have = reached.get();
        let range = format!("bytes={have}-");
        let headers: &[(&str, &str)] = if have > 0 { &[("range", &range)] } else { &[] };
        let (first, mut answer) = self.http.get(url, headers)?;
        let lie = |what: &str, expected: String, found: &str| HubError::Lie {
            url: shown(url),
            what: what.to_owned(),
            expected,
            found: found.chars().take(100).collect(),
        };
        let said = |name: &str| first.get(name).and_then(|v| v.to_str().ok());
        if let Some(other) = said("x-repo-commit").filter(|c| *c != commit) {
            return Err(lie("commit", commit.to_owned(), other));
        }
        if let Some(size) = said("x-linked-size").filter(|s| *s != file.size.to_string()) {
            return Err(lie("size", file.size.to_string(), size));
        }
        if answer.status().as_u16() == 206 {
            let expected = format!("bytes {have}-{}/{}", file.size - 1, file.size);
            let found = header(&answer, "content-range").unwrap_or_default();
            if found != expected {
                return Err(lie("range", expected, &found));
            }
        } else if have > 0 {
            // The server gives the whole: begin anew.
            out.set_len(0).map_err(io(partial))?;
            reached.set(0);
        }
        let lost = |e: std::io::Error| HubError::Network { url: shown(url), why: e.to_string() };
        let mut body = answer.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = body.read(&mut buffer).map_err(lost)?;
            if n == 0 {
                break;
            }
            let now = reached.get() + n as u64;
            if now > file.size {
                return Err(lie("size", file.size.to_string(), &format!("at least {now}")));
            }
            out.write_all(&buffer[..n]).map_err(io(partial))?;
            reached.set(now);
            watch(Step::Bytes(n as u64));
        }
        // A connection may end early but politely.
        if reached.get() == file.size { Ok(()) } else { Err(lost(std::io::ErrorKind::UnexpectedEof.into())) }
    }
}

/// The content's id, of the same kind as the file's.
pub(crate) fn identify(path: &Path, file: &RemoteFile) -> Result<ContentId, HubError> {
    let mut input = File::open(path).map_err(io(path))?;
    let mut buffer = vec![0; 1 << 20];
    let mut sha256 = DigestBuilder::default();
    let mut git = Sha1::new().chain_update(format!("blob {}\0", file.size));
    let large = matches!(file.id, ContentId::Sha256(_));
    loop {
        match input.read(&mut buffer).map_err(io(path))? {
            0 => break,
            n if large => sha256.update(&buffer[..n]),
            n => git.update(&buffer[..n]),
        }
    }
    Ok(if large {
        ContentId::Sha256(sha256.finish())
    } else {
        ContentId::GitBlob(git.finalize().iter().map(|b| format!("{b:02x}")).collect())
    })
}

/// `snapshots/COMMIT/PATH → ../../blobs/NAME`.
fn link(blob: &Path, snapshot: &Path, path: &str) -> Result<(), HubError> {
    let link = snapshot.join(path);
    make_parent(&link)?;
    let up = "../".repeat(path.matches('/').count() + 2);
    let target = PathBuf::from(format!("{up}blobs")).join(blob.file_name().unwrap_or_default());
    if fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link).map_err(io(&link))?;
    }
    std::os::unix::fs::symlink(&target, &link).map_err(io(&link))
}

fn make_parent(path: &Path) -> Result<(), HubError> {
    path.parent().map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(io(folder)))
}

/// What stays as it is in a path that is part of an address.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A path as part of an address.
pub(crate) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, &PLAIN).to_string()
}
