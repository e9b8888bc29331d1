//! The files of a checkpoint's folder: what belongs to it, for everybody alike, and nothing that a stranger's folder
//! could lead elsewhere with, or never end by.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How much a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most folders within folders.
    pub depth: u64,
    /// Most files.
    pub files: u64,
    /// Largest single file in bytes.
    pub file_bytes: u64,
    /// Largest sum in bytes.
    pub total_bytes: u64,
}

impl Bounds {
    /// Room for SDXL in f32 (about 14 GB), an engine of its own and its libraries.
    pub const CHECKPOINT: Self =
        Self { depth: 32, files: 100_000, file_bytes: 16 << 30, total_bytes: 64 << 30 };
}

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundFile {
    /// Path within the folder, with `/`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Where its content is, where its place in the folder is but a link to it.
    pub target: Option<PathBuf>,
}

/// A folder that is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A link that leads out of the checkpoint.
    #[error("{}: a link out of the checkpoint (to {}); put the file itself there", path.display(), target.display())]
    Escape {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file's name that is not plain.
    #[error(
        "{path:?}: a checkpoint's file names are UTF-8 without control characters or backslashes; rename it"
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Neither a file nor a folder.
    #[error("{}: expected a plain file or a folder, found {what}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Too much of something.
    #[error("{}: {what} {found}, at most {limit} allowed; remove what the checkpoint does not need", path.display())]
    Limit {
        /// File or folder.
        path: PathBuf,
        /// "size in bytes", "total size in bytes", "files".
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
}

/// Whether a file or folder of this name is left behind by version control, the hub's client or a desktop, and no part of
/// a checkpoint.
pub fn is_clutter(name: &str) -> bool {
    matches!(name, ".git" | ".cache" | ".gitattributes" | ".gitignore" | ".DS_Store")
        || name.starts_with("._")
}

/// How far links of a checkpoint's folder may lead: within the folder; of a snapshot in Hugging Face's cache
/// (`REPOSITORY/snapshots/COMMIT`, whose files are links to `REPOSITORY/blobs`), within its repository.
///
/// # Errors
/// The folder is not there.
pub fn boundary(folder: &Path) -> io::Result<PathBuf> {
    let real = folder.canonicalize()?;
    let snapshots = real.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"));
    let repository = snapshots.and_then(Path::parent).filter(|repository| repository.join("blobs").is_dir());
    Ok(repository.map_or(real.clone(), Path::to_owned))
}

/// The files below `folder`, in the order of their names' bytes: plain files, and links to such within `boundary`. Nothing
/// is read.
///
/// # Errors
/// [`WalkError`]: what is no part of a checkpoint, by its name.
pub fn files_of(folder: &Path, boundary: &Path, bounds: &Bounds) -> Result<Vec<FoundFile>, WalkError> {
    let boundary =
        boundary.canonicalize().map_err(|source| WalkError::Io { path: boundary.to_owned(), source })?;
    let mut walk = Walk { boundary, bounds, files: Vec::new(), total: 0 };
    walk.enter(folder, "", 0)?;
    walk.files.sort();
    Ok(walk.files)
}

struct Walk<'a> {
    boundary: PathBuf,
    bounds: &'a Bounds,
    files: Vec<FoundFile>,
    total: u64,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Path, prefix: &str, depth: u64) -> Result<(), WalkError> {
        limit(folder, "folders within folders", depth, self.bounds.depth)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| WalkError::Io { path, source }
        };
        for entry in fs::read_dir(folder).map_err(io(folder))? {
            let entry = entry.map_err(io(folder))?;
            let path = entry.path();
            let name = entry.file_name().into_string().map_err(|_| WalkError::Name { path: path.clone() })?;
            if is_clutter(&name) {
                continue;
            }
            if name.contains('\\') || name.chars().any(char::is_control) {
                return Err(WalkError::Name { path });
            }
            let link = entry.file_type().map_err(io(&path))?.is_symlink();
            let target = path.canonicalize().map_err(io(&path))?;
            if !target.starts_with(&self.boundary) {
                return Err(WalkError::Escape { path, target });
            }
            let found = fs::metadata(&target).map_err(io(&path))?;
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if found.is_dir() && !link {
                self.enter(&path, &name, depth + 1)?;
            } else if found.is_file() {
                self.add(
                    folder,
                    path,
                    FoundFile { name, bytes: found.len(), target: link.then_some(target) },
                )?;
            } else {
                // A link to a folder could make a loop, and a pipe or a device has no end.
                let what = if link { "a link to a folder" } else { "a pipe, a device or a socket" };
                return Err(WalkError::NotAFile { path, what });
            }
        }
        Ok(())
    }

    fn add(&mut self, folder: &Path, path: PathBuf, file: FoundFile) -> Result<(), WalkError> {
        limit(&path, "size in bytes", file.bytes, self.bounds.file_bytes)?;
        self.total = self.total.saturating_add(file.bytes);
        limit(folder, "total size in bytes", self.total, self.bounds.total_bytes)?;
        self.files.push(file);
        limit(folder, "files", self.files.len() as u64, self.bounds.files)
    }
}

fn limit(path: &Path, what: &'static str, found: u64, limit: u64) -> Result<(), WalkError> {
    if found <= limit { Ok(()) } else { Err(WalkError::Limit { path: path.to_owned(), what, found, limit }) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn walk(folder: &Path) -> Result<Vec<String>, WalkError> {
        let boundary = boundary(folder).unwrap();
        Ok(files_of(folder, &boundary, &Bounds::CHECKPOINT)?.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn clutter_is_no_part_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for inner in ["unet", ".cache/huggingface", ".git"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        for file in [
            "a.json",
            "unet/b",
            ".DS_Store",
            "unet/.DS_Store",
            "unet/._b",
            ".cache/huggingface/x",
            ".git/HEAD",
        ] {
            fs::write(root.join(file), file).unwrap();
        }
        assert_eq!(walk(root).unwrap(), ["a.json", "unet/b"]);
    }

    #[test]
    fn nothing_leads_out_and_nothing_is_without_end() {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("m");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "x").unwrap();
        fs::write(above.path().join("secret"), "x").unwrap();
        let refused = |make: &dyn Fn(&Path)| {
            let odd = root.join("odd");
            make(&odd);
            let error = walk(&root).unwrap_err();
            fs::remove_file(&odd).unwrap();
            error.to_string()
        };
        assert!(
            refused(&|odd| symlink("../secret", odd).unwrap()).contains("odd: a link out of the checkpoint")
        );
        assert!(
            refused(&|odd| symlink("/dev/zero", odd).unwrap()).contains("odd: a link out of the checkpoint")
        );
        assert!(refused(&|odd| symlink(".", odd).unwrap()).contains("found a link to a folder"));
        let socket = |odd: &Path| drop(std::os::unix::net::UnixListener::bind(odd).unwrap());
        assert!(refused(&socket).contains("found a pipe, a device or a socket"));
        let sparse = |odd: &Path| fs::File::create(odd).unwrap().set_len(1 << 40).unwrap();
        assert!(refused(&sparse).contains("size in bytes 1099511627776"));
        symlink("a", root.join("b")).unwrap();
        assert_eq!(walk(&root).unwrap(), ["a", "b"], "a link to a file within");
    }

    #[test]
    fn a_snapshot_of_the_cache_may_link_to_its_repository_and_nowhere_else() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--a--b");
        let snapshot = repository.join("snapshots/0123");
        for folder in [&snapshot, &repository.join("blobs"), &cache.path().join("models--c--d/blobs")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(repository.join("blobs/x"), "x").unwrap();
        fs::write(cache.path().join("models--c--d/blobs/y"), "y").unwrap();
        symlink("../../blobs/x", snapshot.join("a.json")).unwrap();
        let found = files_of(&snapshot, &boundary(&snapshot).unwrap(), &Bounds::CHECKPOINT).unwrap();
        let target = repository.join("blobs/x").canonicalize().unwrap();
        assert_eq!(found, [FoundFile { name: "a.json".into(), bytes: 1, target: Some(target) }]);
        symlink("../../../models--c--d/blobs/y", snapshot.join("b.json")).unwrap();
        assert!(walk(&snapshot).unwrap_err().to_string().contains("b.json: a link out of the checkpoint"));
    }
}
