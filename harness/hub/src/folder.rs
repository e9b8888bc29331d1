//! A folder becomes a list of files with sizes and digests; links that lead out of it are refused.

use crate::HubError;
use crate::rules::Rules;
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_files::{Bounds, files_of};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

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

    /// The same files as plain files in the folder `to`, where the snapshot of a cache has links: an engine that sees
    /// only its own folder can read them, and programs find each other. Hard links, where the file system has them.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn place(&self, to: &Path) -> Result<(), HubError> {
        let same = |f: &CheckpointFile| {
            std::fs::symlink_metadata(to.join(&f.path)).is_ok_and(|m| m.is_file() && m.len() == f.size)
        };
        let found = files_of(to, to, &bounds(&Rules::default())).map_or(0, |found| found.len());
        if to.is_dir() && found == self.files.len() && self.files.iter().all(same) {
            return Ok(());
        }
        let part = to.with_extension(format!("{}.part", std::process::id()));
        for folder in [&part, to] {
            if folder.exists() {
                std::fs::remove_dir_all(folder).map_err(io(folder))?;
            }
        }
        for file in &self.files {
            let (from, target) = (self.root.join(&file.path), part.join(&file.path));
            let from = from.canonicalize().map_err(io(&from))?;
            let parent = target.parent().unwrap_or(&part);
            std::fs::create_dir_all(parent).map_err(io(parent))?;
            if std::fs::hard_link(&from, &target).is_err() {
                std::fs::copy(&from, &target).map_err(io(&from))?;
            }
        }
        std::fs::rename(&part, to).map_err(io(to))
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
    let found = files_of(root, boundary, &bounds(rules))?.into_iter().map(|file| (file.name, file.bytes));
    let (taken, skipped) = rules.choose(root, found, |(path, size)| (path, *size))?;
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

/// Folders within folders: deeper than any checkpoint.
const MAX_DEPTH: u64 = 8;

/// The limits of all files, taken or not.
fn bounds(rules: &Rules) -> Bounds {
    // How large a file may be counts for those that are taken.
    Bounds { depth: MAX_DEPTH, files: rules.max_files, file_bytes: u64::MAX, total_bytes: u64::MAX }
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
