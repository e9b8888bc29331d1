//! An sr25519 hotkey pair. Its secret is wiped when dropped and shown by no formatter.

use std::fmt;

use blake2::digest::{Update, VariableOutput};
use schnorrkel::derive::ChainCode;
use schnorrkel::{ExpansionMode, MiniSecretKey, SecretKey};
use zeroize::Zeroizing;

use super::error::WalletError;
use crate::AccountId;

/// Substrate signs under this context.
pub(crate) const CONTEXT: &[u8] = b"substrate";

/// The public development seed behind `//Alice` (Substrate's `DEV_PHRASE`): no secret.
const DEV_SEED: [u8; 32] = [
    0xfa, 0xc7, 0x95, 0x9d, 0xbf, 0xe7, 0x2f, 0x05, 0x2e, 0x5a, 0x0c, 0x3c, 0x8d, 0x65, 0x30, 0xf2, 0x02,
    0xb0, 0x2f, 0xd8, 0xf9, 0xf5, 0xca, 0x35, 0x80, 0xec, 0x8d, 0xeb, 0x77, 0x97, 0x47, 0x9e,
];

/// A hotkey that can sign. `schnorrkel` wipes the secret on drop.
#[derive(Clone)]
pub struct Keypair(schnorrkel::Keypair);

impl Keypair {
    /// From the 64 bytes of `privateKey`. Files in the wild hold either schnorrkel's own form or
    /// ed25519's; `expected` (the file's public half) decides, schnorrkel's form where it is absent.
    pub(super) fn from_private(bytes: &[u8; 64], expected: Option<AccountId>) -> Option<Self> {
        let own = SecretKey::from_bytes(bytes).ok();
        let ed25519 = SecretKey::from_ed25519_bytes(bytes).ok();
        let mut pairs = own.into_iter().chain(ed25519).map(|s| Self(s.to_keypair()));
        match expected {
            Some(id) => pairs.find(|p| p.account() == id),
            None => pairs.next(),
        }
    }

    /// From the 32 bytes of `secretSeed`.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        // Any 32 bytes are a mini secret key; only a wrong length is refused.
        let mini = MiniSecretKey::from_bytes(seed).expect("32 bytes");
        Self(mini.expand_to_keypair(ExpansionMode::Ed25519))
    }

    /// A well-known development key such as `//Alice`. Everybody owns it: for local chains only.
    ///
    /// # Errors
    /// When `uri` is not a chain of hard junctions.
    pub fn insecure_dev(uri: &str) -> Result<Self, WalletError> {
        let bad = || WalletError::DevUri { uri: uri.chars().take(64).collect() };
        let path = uri.strip_prefix("//").ok_or_else(bad)?;
        let mut mini = MiniSecretKey::from_bytes(&DEV_SEED).expect("32 bytes");
        for junction in path.split("//") {
            if junction.is_empty() || junction.contains('/') {
                return Err(bad());
            }
            let pair: schnorrkel::Keypair = mini.expand_to_keypair(ExpansionMode::Ed25519);
            mini = pair.secret.hard_derive_mini_secret_key(Some(chain_code(junction)), b"").0;
        }
        Ok(Self(mini.expand_to_keypair(ExpansionMode::Ed25519)))
    }

    /// The public account.
    pub fn account(&self) -> AccountId {
        AccountId(self.0.public.to_bytes())
    }

    /// Sign as Substrate does (sr25519, context `substrate`).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign_simple(CONTEXT, message).to_bytes()
    }
}

/// Substrate's `DeriveJunction`: a number as u64 LE, else the SCALE-encoded text; padded, or hashed when long.
fn chain_code(junction: &str) -> ChainCode {
    let mut encoded = Zeroizing::new(Vec::new());
    if let Ok(number) = junction.parse::<u64>() {
        encoded.extend_from_slice(&number.to_le_bytes());
    } else {
        match junction.len() {
            n @ 0..64 => encoded.push((n as u8) << 2),
            n => encoded.extend_from_slice(&(((n.min(16383) as u16) << 2) | 1).to_le_bytes()),
        }
        encoded.extend_from_slice(junction.as_bytes());
    }
    let mut code = [0; 32];
    if encoded.len() > 32 {
        let mut hash = blake2::Blake2bVar::new(32).expect("32 is a valid output size");
        hash.update(&encoded);
        hash.finalize_variable(&mut code).expect("the buffer has the size asked for");
    } else {
        code[..encoded.len()].copy_from_slice(&encoded);
    }
    ChainCode(code)
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.account())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_uris_have_the_addresses_everybody_knows() {
        // bittensor-wallet 4.1.1: Keypair.create_from_uri(uri).ss58_address
        for (uri, address) in [
            ("//Alice", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
            ("//EdgemaxxHot", "5HR3ocBm18EXhuNoWw9iqmk6KLRjR6nxeiiKqUqjyfkTwN1s"),
            ("//miner//7", MINER_7),
            (LONG, LONG_ADDRESS),
        ] {
            assert_eq!(Keypair::insecure_dev(uri).unwrap().account().to_string(), address, "{uri}");
        }
    }
    const MINER_7: &str = "5C4iWS9N9BfeLDvR5SHZrbKXZkKKM35vgCEqqFzz8C85yFnN";
    const LONG: &str = "//a-junction-of-more-than-thirty-two-bytes-is-hashed";
    const LONG_ADDRESS: &str = "5GNuwgmiafMwSVF8Rd5uhYGhJksV3QxT63Cyf1ETUunqh76T";

    #[test]
    fn anything_but_hard_junctions_is_refused() {
        for uri in ["Alice", "/Alice", "//", "//Alice/soft", "//Alice//", "", "//Alice///password"] {
            assert!(matches!(Keypair::insecure_dev(uri), Err(WalletError::DevUri { .. })), "{uri}");
        }
    }

    #[test]
    fn debug_shows_the_address_only() {
        let text = format!("{:?}", Keypair::insecure_dev("//Alice").unwrap());
        assert_eq!(text, "Keypair(5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY)");
    }
}
