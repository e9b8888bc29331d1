//! Files that are on the disk as a whole, or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file in the making. It appears under its name in [`WholeFile::finish`], when every byte is on the disk; dropped
/// before, it leaves nothing, and what stood under the name stays.
///
/// What is there and no regular file (a pipe, a terminal, `/dev/full`) is written to directly.
#[derive(Debug)]
pub struct WholeFile {
    file: BufWriter<File>,
    /// Where the bytes are until then, and where they go; `None`: they are written directly.
    place: Option<(PathBuf, PathBuf)>,
}

impl WholeFile {
    /// Begins a file, beside `path` and hidden.
    ///
    /// # Errors
    /// What the system says: there is no such folder, or nobody may write to it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let there = fs::metadata(path);
        if there.as_ref().is_ok_and(|there| !there.is_file()) {
            return Ok(Self { file: BufWriter::new(File::options().write(true).open(path)?), place: None });
        }
        // A link stays one: what it leads to is replaced.
        let target = if there.is_ok() { fs::canonicalize(path)? } else { path.to_owned() };
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let part = target.with_file_name(format!(".{name}.part"));
        Ok(Self { file: BufWriter::new(File::create(&part)?), place: Some((part, target)) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// What the system says, a full disk before all; nothing is in its place then.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some((part, target)) = &self.place else { return Ok(()) };
        self.file.get_ref().sync_all()?;
        fs::rename(part, target)?;
        self.place = None;
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.place {
            let _ = fs::remove_file(part);
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file as a whole or not at all, as [`WholeFile`] does.
///
/// # Errors
/// What the system says; no part of the file is left.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Whether an error is that of a full disk, or of a quota that is used up.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_whole(&path, b"before").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half of").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        write_whole(&folder.path().join("link"), b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert!(folder.path().join("link").is_symlink());
        assert_eq!(names(folder.path()), ["a", "link"], "no part is left");
    }

    #[test]
    fn a_full_disk_is_told_and_a_device_stays() {
        let full = Path::new("/dev/full");
        if full.exists() {
            let error = write_whole(full, b"picture").unwrap_err();
            assert!(is_full(&error), "{error}");
        }
        write_whole(Path::new("/dev/null"), b"picture").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
