//! The forgiving reader: any bytes give an answer, never a panic and never a silent nothing.

use std::fmt;

use edgemaxx_contract::repository::is_repository;
use edgemaxx_contract::sealed_claim::Salt;
use serde::Serialize;

use super::submission::{MAGIC, OPENS, VERSION, is_contest};
use super::{
    DaySeal, EngineKind, LegacySubmission, Opening, Provider, Revision, Sealed, Submission, day, legacy,
    sealed,
};

/// What a commitment's bytes mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Commitment {
    /// An entry that can be measured.
    Submission(Submission),
    /// An entry that nobody can read yet.
    Sealed(Sealed),
    /// An entry in the original subnet's format 2.
    Legacy(LegacySubmission),
    /// A validator's: the digest of a day that it sealed.
    Day(DaySeal),
    /// Something else; kept as such, so that a change of how it is read never passes for an empty day.
    Unreadable(Unreadable),
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submission(entry) => {
                let engine = match entry.engine {
                    EngineKind::Native => "native",
                    EngineKind::Command => "command",
                };
                let Submission { contest, repository, revision, .. } = entry;
                write!(f, "{contest}  hf:{repository}@{revision}  {engine}")?;
                entry.opens.map_or(Ok(()), |opens| write!(f, "  sealed in block {}", opens.block))
            }
            Self::Sealed(sealed) => write!(f, "{}  sealed: {}", sealed.contest, sealed.digest),
            Self::Legacy(old) => {
                let why = "format 2 of the original subnet: names no revision, never measured";
                write!(f, "hf:{} ({why})", old.repository)
            }
            Self::Day(seal) => write!(f, "a validator's {}: manifest {}", seal.day, seal.manifest),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

/// Why bytes are no entry for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// Written by some other program.
    #[error("not an EdgeMaxx commitment")]
    Foreign,
    /// Ours, but from the future.
    #[error("commitment version {0}, this program reads 1; update it")]
    Version(u8),
    /// A provider unknown to this version.
    #[error("provider {0} is unknown to this program; update it")]
    Provider(u8),
    /// Ours, but cut off.
    #[error("cut off within the {0}")]
    Truncated(String),
    /// Ours, with a malformed field.
    #[error("the {0} is malformed")]
    Malformed(String),
}

/// Read a commitment. Bytes after the last known field are left alone: a later writer may add fields
/// without changing the meaning of these.
pub fn read(bytes: &[u8]) -> Commitment {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return match ours(rest) {
            Ok(submission) => Commitment::Submission(submission),
            Err(why) => Commitment::Unreadable(why),
        };
    }
    if let Some(rest) = bytes.strip_prefix(sealed::MAGIC) {
        return sealed::read(rest).map_or_else(Commitment::Unreadable, Commitment::Sealed);
    }
    if let Some(rest) = bytes.strip_prefix(day::MAGIC) {
        return day::read(rest).map_or_else(Commitment::Unreadable, Commitment::Day);
    }
    match legacy::read(bytes) {
        Some(entry) => Commitment::Legacy(entry),
        None => Commitment::Unreadable(Unreadable::Foreign),
    }
}

fn ours(bytes: &[u8]) -> Result<Submission, Unreadable> {
    let cut = |field: &str| Unreadable::Truncated(field.to_owned());
    let (&[version, header], rest) = bytes.split_first_chunk().ok_or_else(|| cut("header"))?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let provider = match header >> 2 {
        0 => Provider::HuggingFace,
        other => return Err(Unreadable::Provider(other)),
    };
    let engine = if header & 1 == 0 { EngineKind::Native } else { EngineKind::Command };
    let (contest, rest) = text(rest, "contest", is_contest)?;
    let (repository, rest) = text(rest, "repository", is_repository)?;
    let (revision, rest) = if header & 2 == 0 {
        rest.split_first_chunk().map(|(r, rest)| (Revision::Sha1(*r), rest))
    } else {
        rest.split_first_chunk().map(|(r, rest)| (Revision::Sha256(*r), rest))
    }
    .ok_or_else(|| cut("revision"))?;
    Ok(Submission { contest, provider, repository, revision, engine, opens: opening(rest) })
}

/// The seal that an entry opens, if what follows it says so.
fn opening(bytes: &[u8]) -> Option<Opening> {
    let rest = bytes.strip_prefix(&[OPENS])?;
    let (block, rest) = rest.split_first_chunk()?;
    Some(Opening { block: u32::from_le_bytes(*block), salt: Salt(*rest.first_chunk()?) })
}

/// One length-prefixed text that satisfies `good`, and what follows it.
fn text<'a>(bytes: &'a [u8], field: &str, good: fn(&str) -> bool) -> Result<(String, &'a [u8]), Unreadable> {
    let cut = || Unreadable::Truncated(field.to_owned());
    let (&length, rest) = bytes.split_first().ok_or_else(cut)?;
    let (raw, rest) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
    match std::str::from_utf8(raw) {
        Ok(text) if good(text) => Ok((text.to_owned(), rest)),
        _ => Err(Unreadable::Malformed(field.to_owned())),
    }
}
