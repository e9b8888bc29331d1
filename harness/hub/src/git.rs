//! A checkpoint from a local git mirror: cloned at one commit into the cache, large files included.

use crate::error::io;
use crate::source::is_commit;
use crate::{Cache, HubError};
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_files::WalkError;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A pointer to a large file is a short text.
const MAX_POINTER: u64 = 1024;

/// The commit that `revision` names in the mirror, and a folder that holds its files.
pub(crate) fn checkout(
    cache: &Cache,
    mirror: &Path,
    revision: Option<&str>,
) -> Result<(String, PathBuf), HubError> {
    let mirror = mirror.canonicalize().map_err(io(mirror))?;
    let name = format!("{}^{{commit}}", revision.unwrap_or("HEAD"));
    let commit = git(&mirror, &mirror, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name])?;
    if !is_commit(&commit) {
        return Err(HubError::Git { mirror, why: format!("`{commit}` is no commit") });
    }
    let key = Digest::of(mirror.as_os_str().as_encoded_bytes()).short();
    let folder = cache.mirrors().join(key).join(&commit);
    if folder.is_dir() {
        return Ok((commit, folder));
    }
    let parent = folder.parent().unwrap_or(&folder);
    fs::create_dir_all(parent).map_err(io(parent))?;
    // Whole or not at all: under another name until everything is there.
    let part = parent.join(format!(".{commit}.{}.part", std::process::id()));
    let clean = || if part.exists() { fs::remove_dir_all(&part).map_err(io(&part)) } else { Ok(()) };
    clean()?;
    let made = (|| {
        let (from, to) = (utf8(&mirror)?, utf8(&part)?);
        git(&mirror, parent, &["clone", "--quiet", "--no-checkout", "--no-hardlinks", "--", from, to])?;
        git(&mirror, &part, &["checkout", "--quiet", "--detach", &commit])?;
        fs::remove_dir_all(part.join(".git")).map_err(io(&part))?;
        fill(&mirror, &part, &part)?;
        match fs::rename(&part, &folder) {
            // Another process was faster.
            Err(_) if folder.is_dir() => Ok(()),
            other => other.map_err(io(&folder)),
        }
    })();
    clean()?;
    made.map(|()| (commit, folder))
}

fn utf8(path: &Path) -> Result<&str, HubError> {
    path.to_str().ok_or_else(|| WalkError::Name { path: path.to_owned() }.into())
}

/// git without anybody's configuration, hooks, filters or questions.
fn git(mirror: &Path, folder: &Path, words: &[&str]) -> Result<String, HubError> {
    let fail = |why: String| HubError::Git { mirror: mirror.to_owned(), why };
    let done = Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"])
        .args(["-c", "protocol.file.allow=always", "-c", "core.symlinks=true"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| fail(format!("git cannot be started: {e}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim();
        let word = words.first().copied().unwrap_or_default();
        return Err(fail(if said.is_empty() {
            format!("git {word} finds no such revision")
        } else {
            said.to_owned()
        }));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Put the mirror's large files in the place of their pointers.
fn fill(mirror: &Path, root: &Path, folder: &Path) -> Result<(), HubError> {
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io(folder))?);
        if kind.is_dir() {
            fill(mirror, root, &path)?;
        } else if kind.is_file()
            && let Some((oid, size)) = pointer(&path)?
        {
            let text = oid.to_string();
            let place = Path::new("lfs/objects").join(&text[..2]).join(&text[2..4]).join(&text);
            let stores = [mirror.join(&place), mirror.join(".git").join(&place)];
            let Some(object) = stores.iter().find(|p| p.is_file()) else {
                let shown = path.strip_prefix(root).unwrap_or(&path).display();
                let why = format!(
                    "{shown} is a pointer to {oid}, which it does not hold; run `git lfs fetch --all` there"
                );
                return Err(HubError::Git { mirror: mirror.to_owned(), why });
            };
            fs::remove_file(&path).map_err(io(&path))?;
            fs::copy(object, &path).map_err(io(object))?;
            if digest(&path)? != (oid, size) {
                return Err(HubError::Damaged { path: object.clone() });
            }
        }
    }
    Ok(())
}

/// The digest and size that a pointer file names.
fn pointer(path: &Path) -> Result<Option<(Digest, u64)>, HubError> {
    let mut text = Vec::new();
    File::open(path).map_err(io(path))?.take(MAX_POINTER + 1).read_to_end(&mut text).map_err(io(path))?;
    let Ok(text) = String::from_utf8(text) else { return Ok(None) };
    if text.len() as u64 > MAX_POINTER || !text.starts_with("version https://git-lfs.github.com/spec/v1\n") {
        return Ok(None);
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Ok(field("oid sha256:").and_then(|d| d.parse().ok()).zip(field("size ").and_then(|s| s.parse().ok())))
}

fn digest(path: &Path) -> Result<(Digest, u64), HubError> {
    let mut input = File::open(path).map_err(io(path))?;
    let (mut builder, mut size, mut buffer) = (DigestBuilder::default(), 0, vec![0; 1 << 20]);
    loop {
        match input.read(&mut buffer).map_err(io(path))? {
            0 => return Ok((builder.finish(), size)),
            n => {
                size += n as u64;
                builder.update(&buffer[..n]);
            }
        }
    }
}
