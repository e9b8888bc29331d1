//! Text files of others, read within limits: what never ends is not begun.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use edgemaxx_contract::utf8::text_of;

use crate::digests::{FileError, at};

/// The largest contest, configuration or list of what is asked, bytes.
pub const MOST_TEXT: u64 = 64 << 20;

/// The text of a file in UTF-8, without a byte order mark.
///
/// # Errors
/// It is not there, not a plain file, too large, or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    read_text_of(path, MOST_TEXT)
}

/// As [`read_text`], of at most so many bytes.
///
/// # Errors
/// As [`read_text`].
pub fn read_text_of(path: &Path, most: u64) -> Result<String, FileError> {
    let (file, _) = open_plain(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(at(path))?;
    let bad = |why: String| at(path)(io::Error::new(io::ErrorKind::InvalidData, why));
    if bytes.len() as u64 > most {
        return Err(bad(format!("expected at most {} MiB of text", most >> 20)));
    }
    text_of(&bytes).map(str::to_owned).map_err(|error| bad(error.to_string()))
}

/// Opens a plain file; what a pipe or a device would give has no end.
///
/// # Errors
/// It cannot be opened, or is no plain file.
pub fn open_plain(path: &Path) -> Result<(File, Metadata), FileError> {
    // Looked at before it is opened, since opening a pipe waits for who writes to it.
    let known = std::fs::metadata(path).map_err(at(path))?;
    if !known.is_file() {
        let what = if known.is_dir() { "a folder" } else { "a pipe, a device or a socket" };
        let why = format!("expected a plain file, found {what}");
        return Err(at(path)(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    Ok((File::open(path).map_err(at(path))?, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_and_marks_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "\u{feff}a = 1\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "a = 1\n");
        std::fs::write(&path, b"a\0=\0").unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("a.toml: expected UTF-8, found UTF-16"));
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().ends_with("expected at most 64 MiB of text"));
        assert!(read_text(Path::new("/dev/zero")).unwrap_err().to_string().contains("a device"));
        assert!(read_text(folder.path()).unwrap_err().to_string().contains("found a folder"));
    }
}
