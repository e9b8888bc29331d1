//! Which bytes are text: the one reader of it for everything that people and other programs write.

/// Bytes that are no text this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// As some editors and shells of Windows write it.
    #[error("expected UTF-8, found UTF-16; save it as UTF-8")]
    Utf16,
    /// Something else.
    #[error("expected UTF-8 text; byte {0} is not")]
    Byte(usize),
}

/// Whether a text that begins so is UTF-16.
pub fn is_utf16(start: &[u8]) -> bool {
    // Without a mark, UTF-16 of Latin letters has every second byte zero; no text has such a letter.
    start.starts_with(&[0xff, 0xfe])
        || start.starts_with(&[0xfe, 0xff])
        || matches!(start, [first, second, ..] if (*first == 0) != (*second == 0))
}

/// The text that `bytes` are, without the byte order mark that some editors put before it.
///
/// # Errors
/// [`EncodingError`]: they are no UTF-8.
pub fn text_of(bytes: &[u8]) -> Result<&str, EncodingError> {
    if is_utf16(bytes) {
        return Err(EncodingError::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| EncodingError::Byte(error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_text_and_utf_16_is_named() {
        assert_eq!(text_of("\u{feff}{}".as_bytes()), Ok("{}"));
        assert_eq!(text_of(b"{}"), Ok("{}"));
        assert_eq!(text_of(b""), Ok(""));
        for utf16 in [b"\xff\xfe{\0".as_slice(), b"\xfe\xff\0{", b"{\0}\0", b"\0{\0}"] {
            assert_eq!(text_of(utf16), Err(EncodingError::Utf16), "{utf16:?}");
        }
        assert_eq!(text_of(b"ab\xe4"), Err(EncodingError::Byte(2)));
    }
}
