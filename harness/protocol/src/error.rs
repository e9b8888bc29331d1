//! What a peer can get wrong.

use std::num::NonZeroU32;

use crate::frame::{Kind, Sender, Version};

/// Bytes that the protocol does not allow. A connection that gave one cannot be used further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The stream does not begin with the magic.
    #[error("expected the 8 bytes \"EDGEMAXX\" first, found {}", .found.escape_ascii())]
    Magic {
        /// What came instead.
        found: [u8; 8],
    },
    /// Another major version.
    #[error("the peer speaks protocol {found}, this program {expected}; the one that is older must be brought to {}.x (harness/docs/PROTOCOL.md)", expected.major.max(found.major))]
    Version {
        /// The peer's.
        found: Version,
        /// Ours.
        expected: Version,
    },
    /// No such kind of frame.
    #[error("unknown frame kind {0}; expected 1 to 9")]
    Kind(u8),
    /// A frame that the other side alone may send.
    #[error("a {kind} frame from the {from}, who may not send it")]
    Direction {
        /// The kind.
        kind: Kind,
        /// Who sent it.
        from: Sender,
    },
    /// A frame longer than its kind allows.
    #[error("a {kind} frame whose {part} has {found} bytes; at most {max} are allowed")]
    TooLong {
        /// The kind.
        kind: Kind,
        /// `header` or `payload`.
        part: &'static str,
        /// Bytes announced.
        found: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// The two lengths of a frame contradict each other.
    #[error("a {kind} frame of length {length} announces a header of {header} bytes")]
    Lengths {
        /// The kind.
        kind: Kind,
        /// Bytes after the length field.
        length: u32,
        /// Bytes of the header.
        header: u32,
    },
    /// The header is no JSON, or lacks a field, or a field is of the wrong type.
    #[error("the header of a {kind} frame: {problem}")]
    Header {
        /// The kind.
        kind: Kind,
        /// What the JSON reader says.
        problem: String,
    },
    /// The header's objects and arrays lie too deep in one another.
    #[error("the header of a {kind} frame is nested deeper than {max}")]
    Depth {
        /// The kind.
        kind: Kind,
        /// How deep it may be.
        max: usize,
    },
    /// More parts of one answer than its request allows.
    #[error("a part frame where {}", .max.map_or("no parts are allowed".to_owned(), |max| format!("{max} had come, as many as are allowed")))]
    Parts {
        /// How many are allowed; `None`: none.
        max: Option<NonZeroU32>,
    },
    /// Parts of one answer that are longer together than its request allows.
    #[error("the parts of an answer have {found} bytes, their headers included; at most {max} are allowed")]
    PartsTooLong {
        /// Bytes announced.
        found: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// A field out of range.
    #[error("the {kind} frame's {field}: expected {expected}, found {found}")]
    Value {
        /// The kind.
        kind: Kind,
        /// The header field, or `payload`.
        field: &'static str,
        /// What would be accepted.
        expected: String,
        /// What was there.
        found: String,
    },
}
