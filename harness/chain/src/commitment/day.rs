//! What a validator commits: the digest of a sealed day. No miner's entry, and no reader of those takes it for one.
//!
//! ```text
//! "ED"  version=1  day: 10 bytes, YYYY-MM-DD  SHA-256 of the day's manifest.json: 32 bytes
//! ```

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use serde::Serialize;

use super::Unreadable;

pub(super) const MAGIC: &[u8; 2] = b"ED";
const VERSION: u8 = 1;

/// A sealed day's digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaySeal {
    /// The day.
    pub day: Day,
    /// Digest of its `manifest.json`.
    pub manifest: Digest,
}

impl DaySeal {
    /// The bytes to commit.
    pub fn to_bytes(&self) -> Vec<u8> {
        let day = self.day.to_string();
        [MAGIC.as_slice(), &[VERSION], day.as_bytes(), self.manifest.as_bytes()].concat()
    }
}

/// What follows the magic; bytes after the digest are left to later versions.
pub(super) fn read(bytes: &[u8]) -> Result<DaySeal, Unreadable> {
    let cut = |field: &str| Unreadable::Truncated(field.to_owned());
    let (&version, rest) = bytes.split_first().ok_or_else(|| cut("header"))?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (day, rest) = rest.split_first_chunk::<10>().ok_or_else(|| cut("day"))?;
    let day = std::str::from_utf8(day).ok().and_then(|day| day.parse().ok());
    let day = day.ok_or_else(|| Unreadable::Malformed("day".to_owned()))?;
    let manifest = rest.first_chunk::<32>().ok_or_else(|| cut("digest"))?;
    Ok(DaySeal { day, manifest: Digest::from(*manifest) })
}
