//! sr25519 signatures as Bittensor's wallets make them: who signs, and whether a signature is somebody's.

use crate::wallet::CONTEXT;
use crate::{AccountId, AccountIdError, Keypair};

/// The scheme's name in manifests.
pub const SCHEME: &str = "sr25519";

/// An address or a signature that cannot be used, or a signer that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not an address.
    #[error(transparent)]
    Address(#[from] AccountIdError),
    /// Not 64 bytes of signature.
    #[error("expected a signature of 128 lower-case hexadecimal digits")]
    Malformed,
    /// The signature is not this key's over these bytes.
    #[error("the signature does not belong to these bytes and {0}")]
    Wrong(AccountId),
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

impl Signer for Keypair {
    fn hotkey(&self) -> String {
        self.account().to_ss58()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(Self::sign(self, bytes))
    }
}

/// Whether `signature` (hexadecimal) is the one of `hotkey` over `bytes`.
///
/// # Errors
/// [`SignError`] says which of the three is wrong.
pub fn check(hotkey: &str, bytes: &[u8], signature: &str) -> Result<(), SignError> {
    let account: AccountId = hotkey.parse()?;
    // The other spelling would be other bytes of the same file.
    if signature.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return Err(SignError::Malformed);
    }
    let mut raw = [0; 64];
    hex::decode_to_slice(signature, &mut raw).map_err(|_| SignError::Malformed)?;
    let signature = schnorrkel::Signature::from_bytes(&raw).map_err(|_| SignError::Malformed)?;
    schnorrkel::PublicKey::from_bytes(&account.0)
        .and_then(|key| key.verify_simple(CONTEXT, bytes, &signature))
        .map_err(|_| SignError::Wrong(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn signed(bytes: &[u8]) -> String {
        hex::encode(Keypair::insecure_dev("//Alice").unwrap().sign(bytes))
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bytes_in_one_spelling() {
        let signature = signed(b"a manifest");
        assert_eq!(check(ALICE, b"a manifest", &signature), Ok(()));
        let wrong = SignError::Wrong(ALICE.parse().unwrap());
        assert_eq!(check(ALICE, b"another", &signature), Err(wrong));
        let bob = Keypair::insecure_dev("//Bob").unwrap().hotkey();
        assert!(matches!(check(&bob, b"a manifest", &signature), Err(SignError::Wrong(_))));
        assert_eq!(check(ALICE, b"a manifest", &signature.to_uppercase()), Err(SignError::Malformed));
        assert_eq!(check(ALICE, b"a manifest", "00"), Err(SignError::Malformed));
        let typo = ALICE.replacen("5Grw", "5Grx", 1);
        assert!(matches!(check(&typo, b"a manifest", &signature), Err(SignError::Address(_))));
    }

    #[test]
    fn a_signature_of_bittensor_wallet_holds() {
        // bittensor-wallet 4.1.1: Keypair.create_from_uri("//Alice").sign(b"edgemaxx").hex()
        let signature = "aac0fd52ac38a130be0e2833a3460a85c2b57a258f84341336e549e987ef0d4e2506a6d02c4854063a2a72a8b8b376ba702c77679ce02d9d95e9dd51eeec028c";
        assert_eq!(check(ALICE, b"edgemaxx", signature), Ok(()));
    }
}
