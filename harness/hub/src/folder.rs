//! A folder becomes a list of files with sizes and digests; links that lead out of it are refused.

use crate::HubError;
use crate::rules::{Rules, kind};
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Deeper than any checkpoint; a bound against folders made to exhaust us.
const MAX_DEPTH: usize = 8;

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointFile {
    /// Path within the checkpoint, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
}

/// A checkpoint as it will be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// Where the files are.
    pub root: PathBuf,
    /// The full commit, where the source has one.
    pub revision: Option<String>,
    /// The files taken, by path.
    pub files: Vec<CheckpointFile>,
    /// Files left alone, by path: other kinds, pickles.
    pub skipped: Vec<String>,
    /// Identity of the whole: paths, sizes and digests of all files taken.
    pub digest: Digest,
}

impl Resolved {
    /// Sum of the files' sizes in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }
}

/// Resolve the files below `root`. Links may lead anywhere within `boundary` (the folder itself, or the cache
/// folder of one repository, whose snapshots link to its blobs), nowhere else. Sizes are checked before anything
/// is read.
///
/// # Errors
/// When a rule is broken or the file system refuses.
pub fn resolve_folder(
    root: &Path,
    boundary: &Path,
    revision: Option<String>,
    rules: &Rules,
) -> Result<Resolved, HubError> {
    let boundary = boundary.canonicalize().map_err(io(boundary))?;
    let mut found = Vec::new();
    walk(root, "", &boundary, rules, 0, &mut found)?;
    // The order of the names' bytes, whatever the file system's is.
    found.sort();
    let (taken, skipped): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, _)| rules.takes(kind(path)));
    let mut total = 0u64;
    for (path, size) in &taken {
        limit(&root.join(path), "size in bytes", *size, rules.max_file_bytes)?;
        total = total.saturating_add(*size);
    }
    limit(root, "total size in bytes", total, rules.max_total_bytes)?;
    if taken.is_empty() {
        return Err(HubError::Empty { path: root.to_owned() });
    }
    let mut files = Vec::with_capacity(taken.len());
    for (path, size) in taken {
        let digest = digest(&root.join(&path), size)?;
        files.push(CheckpointFile { path, size, digest });
    }
    let fields: Vec<Vec<u8>> = files
        .iter()
        .flat_map(|f| {
            [f.path.clone().into_bytes(), f.size.to_le_bytes().to_vec(), f.digest.as_bytes().to_vec()]
        })
        .collect();
    Ok(Resolved {
        root: root.to_owned(),
        revision,
        digest: Digest::of_fields(fields.iter().map(|f| f.as_slice())),
        files,
        skipped: skipped.into_iter().map(|(path, _)| path).collect(),
    })
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> HubError + '_ {
    move |source| HubError::Io { path: path.to_owned(), source }
}

fn limit(path: &Path, what: &'static str, found: u64, limit: u64) -> Result<(), HubError> {
    if found <= limit { Ok(()) } else { Err(HubError::Limit { path: path.to_owned(), what, found, limit }) }
}

fn walk(
    folder: &Path,
    prefix: &str,
    boundary: &Path,
    rules: &Rules,
    depth: usize,
    found: &mut Vec<(String, u64)>,
) -> Result<(), HubError> {
    limit(folder, "folders within folders", depth as u64, MAX_DEPTH as u64)?;
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let path = entry.path();
        let name = entry.file_name().into_string().map_err(|_| HubError::Name { path: path.clone() })?;
        // Version control and the hub client's bookkeeping are no part of a checkpoint.
        if matches!(name.as_str(), ".git" | ".cache" | ".gitattributes" | ".gitignore" | ".DS_Store") {
            continue;
        }
        if name.contains('\\') || name.chars().any(char::is_control) {
            return Err(HubError::Name { path });
        }
        let target = path.canonicalize().map_err(io(&path))?;
        if !target.starts_with(boundary) {
            return Err(HubError::Escape { path, target });
        }
        let relative = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let metadata = std::fs::metadata(&target).map_err(io(&path))?;
        if metadata.is_dir() {
            // A link to a folder could make a loop.
            if entry.file_type().map_err(io(&path))?.is_symlink() {
                return Err(HubError::NotAFile { path });
            }
            walk(&path, &relative, boundary, rules, depth + 1, found)?;
        } else if metadata.is_file() {
            found.push((relative, metadata.len()));
            limit(folder, "files", found.len() as u64, rules.max_files)?;
        } else {
            return Err(HubError::NotAFile { path });
        }
    }
    Ok(())
}

/// SHA-256 of exactly `size` bytes; a file that grew or shrank since is refused.
fn digest(path: &Path, size: u64) -> Result<Digest, HubError> {
    let mut file = File::open(path).map_err(io(path))?.take(size.saturating_add(1));
    let mut builder = DigestBuilder::default();
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0u64;
    loop {
        let n = file.read(&mut buffer).map_err(io(path))?;
        if n == 0 {
            break;
        }
        read += n as u64;
        builder.update(&buffer[..n]);
    }
    if read != size {
        return Err(HubError::Changed { path: path.to_owned() });
    }
    Ok(builder.finish())
}
