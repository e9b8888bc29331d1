//! How deep a header's objects and arrays lie in one another.

use crate::error::ProtocolError;
use crate::frame::{Kind, MAX_DEPTH};

/// Refuses JSON that is nested deeper than [`MAX_DEPTH`], by looking at its brackets alone: before
/// anything is built from it.
pub(crate) fn check_depth(kind: Kind, json: &[u8]) -> Result<(), ProtocolError> {
    if depth(json) > MAX_DEPTH { Err(ProtocolError::Depth { kind, max: MAX_DEPTH }) } else { Ok(()) }
}

/// The deepest nesting; of bytes that are no JSON, any number.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut inside, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' | b'[' if !inside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn brackets_count_outside_of_strings_only() {
        assert_eq!(depth(br#"{"a":[{"b":1},[2]],"c":{}}"#), 3);
        assert_eq!(depth(br#"{"[[[":"{{{\"[[["}"#), 1);
        assert_eq!(depth(br#"{"a\\":[1]}"#), 2);
        assert_eq!(depth(br#"7"#), 0);
        assert_eq!(depth(br#"]]]{"#), 1);
    }
}
