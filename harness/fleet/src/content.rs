//! Bytes by their digest, in parts that a message can hold.

use edgemaxx_contract::digest::Digest;
use serde::{Deserialize, Serialize};

/// The bytes of a part; a server takes messages of 1 MB as it comes.
pub const PART_BYTES: usize = 512 << 10;

/// Some bytes: a file, a piece of a log, an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Their digest.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
}

impl Content {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), bytes: bytes.len() as u64 }
    }

    /// How many parts they are in.
    pub fn parts(&self) -> u64 {
        self.bytes.div_ceil(PART_BYTES as u64).max(1)
    }

    /// How many of them are in a part, by its number from 0.
    pub fn bytes_of(&self, number: u64) -> u64 {
        self.bytes.saturating_sub(number.saturating_mul(PART_BYTES as u64)).min(PART_BYTES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_a_part_too_and_a_full_part_is_one() {
        let content = |bytes: u64| Content { digest: Digest::of(""), bytes };
        let parts = |bytes: u64| content(bytes).parts();
        assert_eq!([parts(0), parts(1), parts(512 << 10), parts((512 << 10) + 1)], [1, 1, 1, 2]);
        let longer = content((512 << 10) + 1);
        assert_eq!([0, 1, 2].map(|number| longer.bytes_of(number)), [512 << 10, 1, 0]);
        assert_eq!(content(0).bytes_of(0), 0);
    }
}
