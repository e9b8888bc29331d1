//! Logs that another process may be writing: their whole lines.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use edgemaxx_contract::torn_line::whole_lines;

use crate::text::open_plain;

/// The whole lines of a log, from its byte `from` on; a torn last line is not among them.
///
/// # Errors
/// What the system says: there is no such file, it is no plain file, or it cannot be read.
pub fn read_whole_lines(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let (mut file, _) = open_plain(path).map_err(|error| error.source)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    bytes.truncate(whole_lines(&bytes));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert_eq!(read_whole_lines(&path, 0).unwrap_err().kind(), io::ErrorKind::NotFound);
        for (text, from, new) in
            [("", 0, ""), ("a", 0, ""), ("a\nb", 0, "a\n"), ("a\nb\n", 2, "b\n"), ("", 4, "")]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_whole_lines(&path, from).unwrap(), new.as_bytes(), "{text:?}");
        }
    }
}
