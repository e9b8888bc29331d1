//! The digest of a file, and of a folder.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::{Digest, DigestBuilder};

use crate::walk::{Bounds, WalkError, boundary, files_of};

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
    move |source| FileError { path: path.to_owned(), source }
}

/// The bytes of a file, counted and digested.
///
/// # Errors
/// It cannot be read.
pub fn file_digest(path: &Path) -> Result<(u64, Digest), FileError> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut digest, mut bytes, mut buffer) = (DigestBuilder::default(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok((bytes, digest.finish())),
            n => {
                digest.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// The digest of a checkpoint's folder: of its files' relative paths and contents, in order of path.
///
/// # Errors
/// Something in it is no part of a checkpoint, or cannot be read.
pub fn folder_digest(folder: &Path) -> Result<Digest, WalkError> {
    let boundary = boundary(folder).map_err(|source| WalkError::Io { path: folder.to_owned(), source })?;
    let mut fields = Vec::new();
    for file in files_of(folder, &boundary, &Bounds::CHECKPOINT)? {
        let (_, digest) = file_digest(&folder.join(&file.name))
            .map_err(|FileError { path, source }| WalkError::Io { path, source })?;
        fields.extend([file.name, digest.to_string()]);
    }
    Ok(Digest::of_fields(fields.iter().map(String::as_bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("unet")).unwrap();
        fs::write(path("a.json"), "abc").unwrap();
        fs::write(path("unet/b"), "").unwrap();
        let (abc, empty) = (Digest::of("abc"), Digest::of(""));
        assert_eq!(file_digest(&path("a.json")).unwrap(), (3, abc));
        let fields = ["a.json".to_owned(), abc.to_string(), "unet/b".to_owned(), empty.to_string()];
        let expected = Digest::of_fields(fields.iter().map(String::as_bytes));
        assert_eq!(folder_digest(folder.path()).unwrap(), expected);
        fs::create_dir_all(path(".cache/huggingface")).unwrap();
        fs::write(path(".cache/huggingface/b.metadata"), "1764280000.1").unwrap();
        fs::write(path("unet/.DS_Store"), "").unwrap();
        assert_eq!(folder_digest(folder.path()).unwrap(), expected, "another download of the same");
        fs::rename(path("unet/b"), path("unet/c")).unwrap();
        assert_ne!(folder_digest(folder.path()).unwrap(), expected);
        let missing = file_digest(&path("none")).unwrap_err();
        assert!(missing.to_string().contains("none: "), "{missing}");
    }
}
