//! The digest of a file, and of a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use edgemaxx_contract::digest::{Digest, DigestBuilder};

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
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

/// The digest of a folder: of its files' relative paths and contents, in order of path.
///
/// # Errors
/// Something in it cannot be read.
pub fn folder_digest(folder: &Path) -> Result<Digest, FileError> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    let mut named = BTreeMap::new();
    for path in files {
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        let name: Vec<_> = relative
            .components()
            .filter_map(
                |part| if let Component::Normal(part) = part { Some(part.to_string_lossy()) } else { None },
            )
            .collect();
        named.insert(name.join("/"), file_digest(&path)?.1.to_string());
    }
    Ok(Digest::of_fields(named.iter().flat_map(|(name, digest)| [name.as_bytes(), digest.as_bytes()])))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        fs::rename(path("unet/b"), path("unet/c")).unwrap();
        assert_ne!(folder_digest(folder.path()).unwrap(), expected);
        let missing = file_digest(&path("none")).unwrap_err();
        assert!(missing.to_string().contains("none: "), "{missing}");
    }
}
