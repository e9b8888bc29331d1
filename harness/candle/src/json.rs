//! JSON as models' tools write it: UTF-8 with or without a byte order mark, and Python's `NaN`, `Infinity` and
//! `-Infinity`, which JSON does not have.
use crate::error::{Error, Result};
use edgemaxx_files::read_text;
use std::borrow::Cow;
use std::path::Path;

/// Reads a JSON file into `T`. A number that is none, as Python writes it, is read where nobody needs it: as the text of
/// its name, which no field takes for a number.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_whole(path)?;
    let quoted = quote_python(&text);
    serde_json::from_str(&quoted)
        .map_err(|e| Error::Json { path: path.to_path_buf(), message: e.to_string() })
}

/// The text of a checkpoint's file, which is here.
pub(crate) fn read_whole(path: &Path) -> Result<String> {
    let text = read_text(path).map_err(|error| Error::Io { path: error.path, source: error.source })?;
    if is_pointer(text.as_bytes()) {
        return Err(Error::Pointer { path: path.to_path_buf() });
    }
    Ok(text)
}

/// Whether a file is what git-lfs puts in the place of one that was not fetched.
pub(crate) fn is_pointer(start: &[u8]) -> bool {
    start.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// Puts quotes around the numbers that only Python has, outside of texts.
fn quote_python(text: &str) -> Cow<'_, str> {
    const NAMES: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !NAMES.iter().any(|name| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let (mut rest, mut inside) = (text, false);
    while let Some(next) = rest.chars().next() {
        let found = NAMES.iter().find(|name| !inside && rest.starts_with(**name));
        let taken = match (found, next) {
            (Some(name), _) => {
                quoted.extend(["\"", name, "\""]);
                rest = &rest[name.len()..];
                continue;
            }
            // What is escaped ends no text.
            (None, '\\') if inside => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                inside = !inside;
                1
            }
            _ => next.len_utf8(),
        };
        quoted.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &[u8]) -> Result<Value> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).expect("write");
        read_json(&path)
    }

    #[test]
    fn what_python_writes_is_read_and_no_number() {
        let text = "{\"a\": -Infinity, \"b\": [NaN, Infinity], \"c\": \"NaN \\\" -Infinity ä\", \"d\": -1}";
        let expected =
            json!({"a": "-Infinity", "b": ["NaN", "Infinity"], "c": "NaN \" -Infinity ä", "d": -1});
        assert_eq!(read(text.as_bytes()).expect("read"), expected);
        assert!(serde_json::from_value::<f64>(expected["a"].clone()).is_err());
        assert!(read(b"{\"a\": Infinite}").is_err());
        assert!(read(b"{\"a\": NaNa}").is_err());
    }

    #[test]
    fn marks_are_left_out_and_pointers_named() {
        assert_eq!(read("\u{feff}{}".as_bytes()).expect("read"), json!({}));
        let said = read(b"\xff\xfe{\0}\0").expect_err("UTF-16").to_string();
        assert!(said.ends_with("config.json: expected UTF-8, found UTF-16; save it as UTF-8"), "{said}");
        let said = read(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
        assert!(said.expect_err("pointer").to_string().contains("git lfs pull"));
    }
}
