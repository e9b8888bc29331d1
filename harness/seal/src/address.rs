//! An account: 32 public bytes, written as an SS58 address with Substrate's generic prefix 42.

use std::fmt;
use std::str::FromStr;

use base58::{FromBase58 as _, ToBase58 as _};
use blake2::{Blake2b512, Digest as _};
use serde::{Deserialize, Serialize};

/// Bittensor uses Substrate's generic address prefix.
const PREFIX: u8 = 42;

/// A public account (hotkey or coldkey). Always a well-formed address; not necessarily a key on the curve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(pub [u8; 32]);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountIdError {
    /// Letters outside base 58.
    #[error("`{0}` is no SS58 address: it holds characters outside base 58; copy the address again")]
    NotBase58(String),
    /// Wrong number of bytes.
    #[error("`{text}` is no SS58 address: {got} bytes where 35 were expected; copy the address again")]
    Length {
        /// What was given.
        text: String,
        /// Decoded length.
        got: usize,
    },
    /// An address of another network.
    #[error(
        "`{text}` is an address with prefix {got}, expected 42 as Bittensor uses; convert it to the generic format"
    )]
    Prefix {
        /// What was given.
        text: String,
        /// Prefix byte found.
        got: u8,
    },
    /// A mistyped address.
    #[error("`{0}` is no SS58 address: its checksum is wrong; copy the address again")]
    Checksum(String),
}

impl AccountId {
    /// The SS58 address.
    pub fn to_ss58(&self) -> String {
        let mut raw = Vec::with_capacity(35);
        raw.push(PREFIX);
        raw.extend_from_slice(&self.0);
        let sum = checksum(&raw);
        raw.extend_from_slice(&sum);
        raw.to_base58()
    }
}

fn checksum(raw: &[u8]) -> [u8; 2] {
    let hash = Blake2b512::new().chain_update(b"SS58PRE").chain_update(raw).finalize();
    [hash[0], hash[1]]
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An address has 48 characters; a longer text must not cost quadratic base-58 time.
        if text.len() > 64 {
            return Err(AccountIdError::Length { text: text.chars().take(64).collect(), got: text.len() });
        }
        let raw = text.from_base58().map_err(|_| AccountIdError::NotBase58(text.into()))?;
        if raw.len() != 35 {
            return Err(AccountIdError::Length { text: text.into(), got: raw.len() });
        }
        if raw[0] != PREFIX {
            return Err(AccountIdError::Prefix { text: text.into(), got: raw[0] });
        }
        if checksum(&raw[..33]) != raw[33..] {
            return Err(AccountIdError::Checksum(text.into()));
        }
        let mut id = [0; 32];
        id.copy_from_slice(&raw[1..33]);
        Ok(Self(id))
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.to_ss58()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_ss58())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_ss58())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // bittensor-wallet 4.1.1: Keypair.create_from_uri("//EdgemaxxHot") → ss58_address, public_key.hex()
    const ADDRESS: &str = "5HR3ocBm18EXhuNoWw9iqmk6KLRjR6nxeiiKqUqjyfkTwN1s";
    const PUBLIC: &str = "ecb13942edb17690ea3266d2ff4011060b94e3589bd9bf09ddab194a5ff38372";

    #[test]
    fn address_and_bytes_agree_with_bittensor_wallet() {
        let id: AccountId = ADDRESS.parse().unwrap();
        assert_eq!(id.0.iter().map(|b| format!("{b:02x}")).collect::<String>(), PUBLIC);
        assert_eq!(id.to_string(), ADDRESS);
    }

    #[test]
    fn every_kind_of_wrong_address_has_its_own_error() {
        let swapped = ADDRESS.replace("5HR3", "5HR4");
        assert!(matches!(swapped.parse::<AccountId>(), Err(AccountIdError::Checksum(_))));
        assert!(matches!("0O".parse::<AccountId>(), Err(AccountIdError::NotBase58(_))));
        assert!(matches!("5HR3".parse::<AccountId>(), Err(AccountIdError::Length { .. })));
        assert!(matches!("1".repeat(1000).parse::<AccountId>(), Err(AccountIdError::Length { .. })));
        // Alice with Polkadot's prefix 0.
        let polkadot = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        assert!(matches!(polkadot.parse::<AccountId>(), Err(AccountIdError::Prefix { got: 0, .. })));
    }
}
