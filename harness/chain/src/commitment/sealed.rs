//! A sealed entry: that a hotkey has a checkpoint, and not which. Opened by an entry that names its block and its salt.
//!
//! ```text
//! "ES"  version=1  contest: u8 length, text  digest: 32 bytes
//! ```

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sealed_claim::Salt;
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;

use super::submission::is_contest;
use super::{CommitmentError, Unreadable};

pub(super) const MAGIC: &[u8; 2] = b"ES";
const VERSION: u8 = 1;

/// A sealed entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Name of the contest.
    pub contest: String,
    /// Of hotkey, checkpoint and salt.
    pub digest: Digest,
}

impl Sealed {
    /// The bytes to commit.
    ///
    /// # Errors
    /// When the contest's name does not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CommitmentError> {
        if !is_contest(&self.contest) {
            return Err(CommitmentError::Contest(self.contest.chars().take(80).collect()));
        }
        let length = [self.contest.len() as u8];
        let contest = self.contest.as_bytes();
        Ok([MAGIC.as_slice(), &[VERSION], &length, contest, self.digest.as_bytes()].concat())
    }
}

/// A salt that nobody can guess.
pub fn fresh_salt() -> Salt {
    let mut salt = [0; 16];
    OsRng.fill_bytes(&mut salt);
    Salt(salt)
}

/// What follows the magic; bytes after the digest are left to later versions.
pub(super) fn read(bytes: &[u8]) -> Result<Sealed, Unreadable> {
    let cut = |field: &str| Unreadable::Truncated(field.to_owned());
    let (&version, rest) = bytes.split_first().ok_or_else(|| cut("header"))?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (&length, rest) = rest.split_first().ok_or_else(|| cut("contest"))?;
    let (contest, rest) = rest.split_at_checked(length as usize).ok_or_else(|| cut("contest"))?;
    let contest = std::str::from_utf8(contest).ok().filter(|contest| is_contest(contest));
    let contest = contest.ok_or_else(|| Unreadable::Malformed("contest".to_owned()))?;
    let digest = rest.first_chunk::<32>().ok_or_else(|| cut("digest"))?;
    Ok(Sealed { contest: contest.to_owned(), digest: Digest::from(*digest) })
}
