//! The original subnet's format 2: `u16 BE = 2`, u8-length repository, `f32 BE` seconds, `u16 BE` contest.
//! Read only: it names no revision, so such an entry can be shown but never measured.

use edgemaxx_contract::repository::is_repository;
use serde::Serialize;

/// An entry in the original subnet's format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegacySubmission {
    /// `owner/name`.
    pub repository: String,
    /// Seconds per answer, as the miner claimed.
    pub claimed_seconds: f32,
    /// The contest's number.
    pub contest: u16,
}

/// The entry, if these bytes are one.
pub(super) fn read(bytes: &[u8]) -> Option<LegacySubmission> {
    let rest = bytes.strip_prefix(&[0, 2])?;
    let (&length, rest) = rest.split_first()?;
    let (repository, rest) = rest.split_at_checked(length as usize)?;
    let (time, rest) = rest.split_first_chunk::<4>()?;
    let (contest, _) = rest.split_first_chunk::<2>()?;
    let repository = std::str::from_utf8(repository).ok().filter(|r| is_repository(r))?;
    Some(LegacySubmission {
        repository: repository.to_owned(),
        claimed_seconds: f32::from_be_bytes(*time),
        contest: u16::from_be_bytes(*contest),
    })
}
