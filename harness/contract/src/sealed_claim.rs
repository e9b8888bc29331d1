//! Sealed claims: a hotkey commits to a checkpoint's digest under a salt before anybody can see the checkpoint, and opens
//! the seal later. Whoever looks then knows since when the hotkey had exactly these files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, hex};

/// What keeps a seal from being opened by trying likely checkpoints.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Salt(pub [u8; 16]);

/// The digest that is committed: nobody else's, as it is of the hotkey (SS58), too.
pub fn sealed(hotkey: &str, checkpoint: &Digest, salt: &Salt) -> Digest {
    Digest::of_fields([b"edgemaxx-sealed-1".as_slice(), hotkey.as_bytes(), checkpoint.as_bytes(), &salt.0])
}

/// A seal that a submission opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The block that the seal was committed in.
    pub block: u64,
    /// What was committed there.
    pub digest: Digest,
    /// The salt that the submission names.
    pub salt: Salt,
    /// The block of the commitment that opened it.
    pub opened: u64,
}

impl Claim {
    /// Whether it is this checkpoint that `hotkey` sealed.
    pub fn is_of(&self, hotkey: &str, checkpoint: &Digest) -> bool {
        sealed(hotkey, checkpoint, &self.salt) == self.digest
    }
}

impl FromStr for Salt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("salt {text:?}: expected 32 lower-case hexadecimal digits");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(bad()),
        };
        if text.len() != 32 {
            return Err(bad());
        }
        let mut salt = [0; 16];
        for (byte, pair) in salt.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(salt))
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({self})")
    }
}

impl TryFrom<String> for Salt {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Salt> for String {
    fn from(salt: Salt) -> Self {
        salt.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_one_hotkeys_of_one_checkpoint_under_one_salt() {
        let (salt, checkpoint) = (Salt([7; 16]), Digest::of("files"));
        let claim = Claim { block: 5, digest: sealed("a", &checkpoint, &salt), salt, opened: 9 };
        assert!(claim.is_of("a", &checkpoint));
        assert!(!claim.is_of("b", &checkpoint) && !claim.is_of("a", &Digest::of("others")));
        assert!(!Claim { salt: Salt([8; 16]), ..claim.clone() }.is_of("a", &checkpoint));
        let text = serde_json::to_string(&claim).unwrap();
        assert_eq!(serde_json::from_str::<Claim>(&text).unwrap(), claim);
        for bad in ["", "07", &"0G".repeat(16), &"AB".repeat(16), &"00".repeat(17)] {
            assert!(bad.parse::<Salt>().is_err(), "{bad}");
        }
    }
}
