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
pub const VERSION: Version = Version { major: 1, minor: 0 };

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
    /// Harness: make this picture; payload: latents, f32 little-endian.
    Generate = 5,
    /// Engine: the picture; payload: its bytes.
    Image = 6,
    /// Engine: I cannot.
    Error = 7,
    /// Harness: that was all.
    Bye = 8,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Hello,
        Self::Load,
        Self::Heartbeat,
        Self::Ready,
        Self::Generate,
        Self::Image,
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
            Self::Hello | Self::Heartbeat | Self::Ready | Self::Image | Self::Error => Sender::Engine,
        }
    }

    /// Bytes of the longest header allowed.
    pub fn max_header(self) -> usize {
        match self {
            Self::Heartbeat | Self::Ready | Self::Image | Self::Bye => 1 << 10,
            Self::Hello => 2 << 10,
            Self::Load | Self::Error => 32 << 10,
            Self::Generate => 16 << 10,
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
            Self::Image => "image",
            Self::Error => "error",
            Self::Bye => "bye",
        })
    }
}

/// The largest payloads a reader accepts; checked before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whose frames are read; any other kind is refused.
    pub from: Sender,
    /// Bytes of a picture.
    pub image_bytes: usize,
    /// Bytes of latents.
    pub latent_bytes: usize,
}

impl Limits {
    /// For the harness, which expects pictures of `width` × `height`: raw RGB8, or a PNG that is
    /// no longer than raw RGBA8 and 64 KiB.
    pub fn harness(width: u32, height: u32) -> Self {
        let pixels = (width as usize).saturating_mul(height as usize);
        let image_bytes = pixels.saturating_mul(4).saturating_add(64 << 10);
        Self { from: Sender::Engine, image_bytes: image_bytes.min(1 << 30), latent_bytes: 0 }
    }

    /// For an engine: latents up to 64 MiB.
    pub fn engine() -> Self {
        Self { from: Sender::Harness, image_bytes: 0, latent_bytes: 64 << 20 }
    }

    /// Bytes of the longest payload of `kind`.
    pub fn max_payload(&self, kind: Kind) -> usize {
        match kind {
            Kind::Image => self.image_bytes,
            Kind::Generate => self.latent_bytes,
            _ => 0,
        }
    }
}
