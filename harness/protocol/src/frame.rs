//! The outside of a frame: magic, version, kinds and how long each may be.

use std::fmt;

/// The first eight bytes of either direction.
pub const MAGIC: [u8; 8] = *b"EDGEMAXX";
/// Bytes of the preamble: magic, major and minor version (u16, little-endian).
pub const PREAMBLE_BYTES: usize = 12;
/// Bytes before a frame's header: length (u32), kind (u8), length of the header (u32), little-endian.
/// The length counts all that follows it.
pub const PREFIX_BYTES: usize = 9;
/// Characters of an engine's name and of its version.
pub const MAX_NAME_CHARS: usize = 100;
/// Characters of an engine's error message.
pub const MAX_ERROR_CHARS: usize = 4000;
/// How deep objects and arrays of a header may lie in one another; the header itself is the first.
pub const MAX_DEPTH: usize = 16;
/// Bytes of the longest payload that any limits allow.
pub const MAX_PAYLOAD: usize = 1 << 30;
/// Parts of one answer that any limits allow.
pub const MAX_PARTS: u32 = 1 << 20;

/// A version of the protocol. Peers with the same major number understand each other: a minor
/// version only adds header fields, and unknown header fields are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Must be equal on both sides.
    pub major: u16,
    /// May differ.
    pub minor: u16,
}

/// The version this crate speaks.
pub const VERSION: Version = Version { major: 2, minor: 0 };

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The judge.
    Harness,
    /// The judged.
    Engine,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harness => "harness",
            Self::Engine => "engine",
        })
    }
}

/// Kinds of frame; the numbers are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Engine: what I am.
    Hello = 1,
    /// Harness: load this checkpoint.
    Load = 2,
    /// Engine: still loading.
    Heartbeat = 3,
    /// Engine: loaded.
    Ready = 4,
    /// Harness: answer this; payload: what its task says.
    Generate = 5,
    /// Engine: a part of the answer, ahead of its end; payload: what the task says.
    Part = 6,
    /// Engine: the answer, or its end where parts came before; payload: what the task says.
    Answer = 7,
    /// Engine: I cannot.
    Error = 8,
    /// Harness: that was all.
    Bye = 9,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Hello,
        Self::Load,
        Self::Heartbeat,
        Self::Ready,
        Self::Generate,
        Self::Part,
        Self::Answer,
        Self::Error,
        Self::Bye,
    ];

    /// The kind with this number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Who may send it.
    pub fn sender(self) -> Sender {
        match self {
            Self::Load | Self::Generate | Self::Bye => Sender::Harness,
            Self::Hello | Self::Heartbeat | Self::Ready | Self::Part | Self::Answer | Self::Error => {
                Sender::Engine
            }
        }
    }

    /// Bytes of the longest header allowed.
    pub fn max_header(self) -> usize {
        match self {
            Self::Heartbeat | Self::Bye => 1 << 10,
            Self::Hello => 2 << 10,
            Self::Ready => 4 << 10,
            Self::Part => 16 << 10,
            Self::Load | Self::Error => 32 << 10,
            Self::Answer => 64 << 10,
            Self::Generate => 256 << 10,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "hello",
            Self::Load => "load",
            Self::Heartbeat => "heartbeat",
            Self::Ready => "ready",
            Self::Generate => "generate",
            Self::Part => "part",
            Self::Answer => "answer",
            Self::Error => "error",
            Self::Bye => "bye",
        })
    }
}

/// What an answer may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerLimits {
    /// How many parts may come before the answer's end; 0: none. At most [`MAX_PARTS`] count.
    pub parts: u32,
    /// Bytes of all parts together, their headers included; at most [`MAX_PAYLOAD`] count.
    pub parts_bytes: usize,
    /// Bytes of the answer's own payload; at most [`MAX_PAYLOAD`] count.
    pub answer_bytes: usize,
}

/// What a reader accepts; checked before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whose frames are read; any other kind is refused.
    pub from: Sender,
    /// What answers may be.
    pub answer: AnswerLimits,
    /// Bytes of a request's payload.
    pub ask_bytes: usize,
}

impl Limits {
    /// For the harness, which expects such answers.
    pub fn harness(answer: AnswerLimits) -> Self {
        Self { from: Sender::Engine, answer, ask_bytes: 0 }
    }

    /// For an engine: requests with a payload of up to 64 MiB.
    pub fn engine() -> Self {
        Self { from: Sender::Harness, answer: AnswerLimits::default(), ask_bytes: 64 << 20 }
    }

    /// Bytes of the longest payload of `kind`.
    pub fn max_payload(&self, kind: Kind) -> usize {
        match kind {
            Kind::Part => self.max_parts_bytes(),
            Kind::Answer => self.answer.answer_bytes.min(MAX_PAYLOAD),
            Kind::Generate => self.ask_bytes.min(MAX_PAYLOAD),
            _ => 0,
        }
    }

    /// How many parts may come before an answer's end.
    pub fn max_parts(&self) -> u32 {
        self.answer.parts.min(MAX_PARTS)
    }

    /// Bytes of all of them together, their headers included.
    pub fn max_parts_bytes(&self) -> usize {
        self.answer.parts_bytes.min(MAX_PAYLOAD)
    }
}
