//! The commitment's bytes, version 1. The writer is strict; [`super::read`] is forgiving.
//!
//! ```text
//! "EM"  version=1  header  contest: u8 length, text  repository: u8 length, text  revision: 20 or 32 bytes
//! header, from the low bit: engine (0 native, 1 command) · revision (0 SHA-1, 1 SHA-256) · provider (6 bits, 0 Hugging Face)
//! then, where it opens a seal: 1  block of the seal: u32, little endian  salt: 16 bytes
//! ```

use std::fmt;
use std::str::FromStr;

use edgemaxx_contract::repository::{EXPECTED, is_repository};
use edgemaxx_contract::sealed_claim::Salt;
use serde::{Deserialize, Serialize};

/// What the chain keeps at most (`Raw128`).
pub const MAX_BYTES: usize = 128;
pub(super) const MAGIC: &[u8; 2] = b"EM";
pub(super) const VERSION: u8 = 1;
/// Longest contest name that fits.
const MAX_CONTEST: usize = 32;
/// Before the block and the salt of a seal.
pub(super) const OPENS: u8 = 1;

/// A miner's entry: everything a validator needs to fetch exactly the files the miner meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Name of the contest.
    pub contest: String,
    /// Where the repository lives.
    pub provider: Provider,
    /// `owner/name`.
    pub repository: String,
    /// The full commit: a branch or a shortened revision could change its meaning later.
    pub revision: Revision,
    /// What runs the checkpoint.
    pub engine: EngineKind,
    /// The seal that it opens; `None`: it was committed in the open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Opening>,
}

/// How an entry opens a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The block that the seal was committed in.
    pub block: u32,
    /// Its salt.
    pub salt: Salt,
}

/// Where a repository lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The Hugging Face hub.
    HuggingFace,
}

/// What runs the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// The built-in engine.
    Native,
    /// A command that the candidate's `edgemaxx.toml` names.
    Command,
}

/// A full commit hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Revision {
    /// Git's SHA-1 object format.
    Sha1([u8; 20]),
    /// Git's SHA-256 object format.
    Sha256([u8; 32]),
}

/// Why a submission cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// A contest name the format cannot hold.
    #[error("contest `{0}`: expected 1 to 32 letters, digits, `-`, `_` or `.`")]
    Contest(String),
    /// No repository name.
    #[error("repository `{0}`: expected {expected}", expected = EXPECTED)]
    Repository(String),
    /// No full revision.
    #[error(
        "revision `{0}`: expected the full commit of 40 (or 64) lower-case hexadecimal digits; a branch or a shortened commit can change its meaning"
    )]
    Revision(String),
    /// Larger than the chain accepts.
    #[error("the commitment has {got} bytes, the chain keeps {MAX_BYTES}; shorten the repository's name by {}", got - MAX_BYTES)]
    TooLong {
        /// Its size.
        got: usize,
    },
}

impl Submission {
    /// The bytes to commit.
    ///
    /// # Errors
    /// When a field is malformed or the whole exceeds [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CommitmentError> {
        if !is_contest(&self.contest) {
            return Err(CommitmentError::Contest(self.contest.chars().take(80).collect()));
        }
        if !is_repository(&self.repository) {
            return Err(CommitmentError::Repository(self.repository.chars().take(200).collect()));
        }
        let revision = self.revision.as_bytes();
        let provider = match self.provider {
            Provider::HuggingFace => 0u8,
        };
        let header =
            (self.engine == EngineKind::Command) as u8 | ((revision.len() == 32) as u8) << 1 | provider << 2;
        let mut out = Vec::with_capacity(MAX_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend([VERSION, header]);
        for text in [&self.contest, &self.repository] {
            // Both were checked to have at most 193 bytes.
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(revision);
        if let Some(Opening { block, salt }) = &self.opens {
            out.push(OPENS);
            out.extend(block.to_le_bytes());
            out.extend(salt.0);
        }
        if out.len() > MAX_BYTES {
            return Err(CommitmentError::TooLong { got: out.len() });
        }
        Ok(out)
    }
}

/// Whether a contest's name fits the format.
pub(super) fn is_contest(name: &str) -> bool {
    (1..=MAX_CONTEST).contains(&name.len()) && name.bytes().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl Revision {
    /// The raw hash.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

impl FromStr for Revision {
    type Err = CommitmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || CommitmentError::Revision(text.chars().take(80).collect());
        let nibble = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(bad()),
        };
        let mut bytes = [0; 32];
        if !matches!(text.len(), 40 | 64) {
            return Err(bad());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        match (text.len(), bytes.first_chunk()) {
            (40, Some(half)) => Ok(Self::Sha1(*half)),
            _ => Ok(Self::Sha256(bytes)),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

impl TryFrom<String> for Revision {
    type Error = CommitmentError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}
