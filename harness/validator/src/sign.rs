//! sr25519 signatures as Bittensor's wallets make them, and the addresses they belong to.

use blake2::{Blake2b512, Digest as _};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, PublicKey, Signature};

/// The signing context of Substrate.
const CONTEXT: &[u8] = b"substrate";
/// The scheme's name in manifests.
pub const SCHEME: &str = "sr25519";
/// The address format of Bittensor, and of Substrate in general.
const PREFIX: u8 = 42;

/// A key, an address or a signature that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not a key file.
    #[error("expected a 32-byte seed as 64 hexadecimal digits, or a hotkey file with \"secretSeed\"; {0}")]
    Key(String),
    /// Not an address.
    #[error("expected an address (SS58, format 42), found {0:?}")]
    Address(String),
    /// Not 64 bytes of signature.
    #[error("expected a signature of 128 hexadecimal digits")]
    Malformed,
    /// The signature is not this key's over these bytes.
    #[error("the signature does not belong to these bytes and {0}")]
    Wrong(String),
    /// The signer is not there.
    #[error("cannot sign: {0}")]
    Unavailable(String),
}

/// Who answers for what is published.
pub trait Signer {
    /// Address (SS58).
    fn hotkey(&self) -> String;

    /// Signs in the context `substrate`.
    ///
    /// # Errors
    /// [`SignError::Unavailable`], where the key lies elsewhere.
    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError>;
}

/// A key in memory.
pub struct Key(Keypair);

impl Key {
    /// From a 32-byte seed, expanded as Substrate does.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        let secret = MiniSecretKey::from_bytes(seed).map_err(|error| SignError::Key(error.to_string()))?;
        Ok(Self(secret.expand_to_keypair(ExpansionMode::Ed25519)))
    }

    /// From the text of a key file: a seed in hexadecimal, or Bittensor's unencrypted hotkey JSON.
    ///
    /// # Errors
    /// [`SignError::Key`] says what the text is not; it never repeats the text.
    pub fn parse(text: &str) -> Result<Self, SignError> {
        let text = text.trim();
        let seed = if text.starts_with('{') {
            let json: serde_json::Value = serde_json::from_str(text)
                .map_err(|error| SignError::Key(format!("this is no JSON (line {})", error.line())))?;
            let seed = json.get("secretSeed").and_then(|seed| seed.as_str()).map(str::to_owned);
            seed.ok_or_else(|| SignError::Key("this JSON has no \"secretSeed\"".to_owned()))?
        } else {
            text.to_owned()
        };
        let bytes = bytes_of(seed.strip_prefix("0x").unwrap_or(&seed));
        let seed = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Self::from_seed(&seed.ok_or_else(|| SignError::Key("this is something else".to_owned()))?)
    }
}

impl Signer for Key {
    fn hotkey(&self) -> String {
        address(&self.0.public.to_bytes())
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign_simple(CONTEXT, bytes).to_bytes())
    }
}

/// Whether `signature` (hexadecimal) is the one of `hotkey` over `bytes`.
///
/// # Errors
/// [`SignError`] says which of the three is wrong.
pub fn check(hotkey: &str, bytes: &[u8], signature: &str) -> Result<(), SignError> {
    let public = public_key(hotkey)?;
    let signature = bytes_of(signature).ok_or(SignError::Malformed)?;
    let signature = Signature::from_bytes(&signature).map_err(|_| SignError::Malformed)?;
    let key = PublicKey::from_bytes(&public).map_err(|_| SignError::Address(hotkey.to_owned()))?;
    key.verify_simple(CONTEXT, bytes, &signature).map_err(|_| SignError::Wrong(hotkey.to_owned()))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of lower-case hexadecimal digits.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digit =
        |byte: u8| (byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase()).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn checksum(prefixed: &[u8]) -> [u8; 2] {
    let hash = Blake2b512::new().chain_update(b"SS58PRE").chain_update(prefixed).finalize();
    [hash[0], hash[1]]
}

/// The address of a public key.
fn address(public: &[u8; 32]) -> String {
    let mut bytes = vec![PREFIX];
    bytes.extend_from_slice(public);
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum);
    bs58::encode(bytes).into_string()
}

/// The public key of an address.
fn public_key(address: &str) -> Result<[u8; 32], SignError> {
    let wrong = || SignError::Address(address.chars().take(60).collect());
    let bytes = bs58::decode(address).into_vec().map_err(|_| wrong())?;
    match bytes.as_slice() {
        [PREFIX, public @ .., a, b] if checksum(&bytes[..bytes.len() - 2]) == [*a, *b] => {
            public.try_into().map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Substrate's well-known development key `//Alice`.
    const ALICE_SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn alice_has_her_address_and_signs() {
        let alice = Key::parse(ALICE_SEED).unwrap();
        assert_eq!(alice.hotkey(), ALICE);
        let signature = hexadecimal(&alice.sign(b"a manifest").unwrap());
        assert_eq!(check(ALICE, b"a manifest", &signature), Ok(()));
        assert_eq!(check(ALICE, b"another", &signature), Err(SignError::Wrong(ALICE.to_owned())));
        // The other hexadecimal spelling would be other bytes of the same file.
        assert!(check(ALICE, b"a manifest", &signature.to_uppercase()).is_err());
        let json = format!("{{\"accountId\":\"0x00\",\"secretSeed\":\"{ALICE_SEED}\"}}");
        assert_eq!(Key::parse(&json).unwrap().hotkey(), ALICE);
    }

    #[test]
    fn what_is_no_key_and_no_address_is_refused_without_repeating_it() {
        for text in ["", "12", "{\"secretPhrase\":\"word\"}", &"g".repeat(64)] {
            let error = Key::parse(text).err().unwrap().to_string();
            assert!(!error.contains("word") && !error.contains("ggg"), "{error}");
        }
        let mut typo = ALICE.to_owned();
        typo.replace_range(10..11, "z");
        assert_eq!(check(&typo, b"", ""), Err(SignError::Address(typo.clone())));
        assert_eq!(check(ALICE, b"", "00"), Err(SignError::Malformed));
    }
}
