//! The one reader of key files: decrypted where needed, checked against their own public half.

use std::io::Read as _;
use std::path::Path;

use edgemaxx_contract::utf8::text_of;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::WalletError;
use super::keypair::Keypair;
use super::password::PasswordSource;
use super::secret::{MAX_BYTES, read_secret};
use super::{nacl, phrase};
use crate::AccountId;

/// The JSON of bittensor-wallet, in any key order; fields we do not know are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    crypto_type: Option<u8>,
    ss58_address: Option<String>,
    public_key: Option<String>,
    account_id: Option<String>,
    private_key: Option<Zeroizing<String>>,
    secret_seed: Option<Zeroizing<String>>,
    secret_phrase: Option<Zeroizing<String>>,
}

/// The public half alone, from a `…pub.txt` file.
pub(super) fn read_public(path: &Path) -> Result<AccountId, WalletError> {
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(|source| WalletError::Io { path: path.to_owned(), source })?;
    let wire = parse(path, self::text(path, &text)?)?;
    wire.public(path)?.ok_or_else(|| WalletError::format(path, "ss58Address", "missing".into()))
}

impl Keypair {
    /// The key in a file, which its owner alone may read: JSON as bittensor-wallet writes it (with `privateKey`,
    /// `secretSeed` or `secretPhrase`), the same encrypted (`$NACL`), a seed in hexadecimal, or a phrase.
    ///
    /// # Errors
    /// A coldkey, unsafe mode, link, legacy format, wrong password, damage; never quoting what the file holds.
    pub fn read(path: &Path, password: &PasswordSource) -> Result<Self, WalletError> {
        let file = key_file(path)?;
        if !file.starts_with(nacl::MAGIC) {
            return plain(path, &file);
        }
        let (word, asked) = password.ask(path)?;
        let opened = nacl::open(&file, &word);
        plain(path, &opened.ok_or_else(|| WalletError::WrongPassword { path: path.to_owned(), asked })?)
    }
}

/// Whether a file can be opened as a key, as far as that is known without its password.
pub(super) fn look(path: &Path) -> Result<(), WalletError> {
    let file = key_file(path)?;
    if file.starts_with(nacl::MAGIC) { Ok(()) } else { plain(path, &file).map(drop) }
}

/// What a key's file holds, encrypted or not.
fn key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    // A coldkey in its own folder is known by its name, before its password is asked for.
    if path.ends_with("coldkey") && path.with_file_name("coldkeypub.txt").exists() {
        return Err(WalletError::Coldkey { path: path.to_owned() });
    }
    let file = read_secret(path)?;
    match legacy(&file) {
        Some(kind) => Err(WalletError::Legacy { path: path.to_owned(), kind }),
        None => Ok(file),
    }
}

/// A key that is not, or no longer, encrypted.
fn plain(path: &Path, file: &[u8]) -> Result<Keypair, WalletError> {
    let text = text(path, file)?.trim();
    if text.starts_with('{') { parse(path, text)?.keypair(path) } else { bare_secret(path, text) }
}

/// A file without JSON: a seed in hexadecimal, or a phrase.
fn bare_secret(path: &Path, text: &str) -> Result<Keypair, WalletError> {
    let unknown = || {
        let expected = "expected the JSON of bittensor-wallet, a seed of 64 hexadecimal digits or a phrase";
        WalletError::format(path, "file", expected.to_owned())
    };
    if text.contains(' ') {
        return from_phrase(path, text);
    }
    let seed = bytes::<32>(path, "file", Some(text)).map_err(|_| unknown())?.map(Zeroizing::new);
    seed.map(|seed| Keypair::from_seed(&seed)).ok_or_else(unknown)
}

fn from_phrase(path: &Path, text: &str) -> Result<Keypair, WalletError> {
    let wrong = |problem| WalletError::format(path, "secretPhrase", problem);
    phrase::seed(text).map(|seed| Keypair::from_seed(&seed)).map_err(wrong)
}

/// Whether the file is encrypted in any way (nothing is decrypted).
pub(super) fn is_encrypted(path: &Path) -> Result<bool, WalletError> {
    let mut head = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(16).read_to_end(&mut head))
        .map_err(|source| WalletError::Io { path: path.to_owned(), source })?;
    Ok(head.starts_with(nacl::MAGIC) || legacy(&head).is_some())
}

fn legacy(file: &[u8]) -> Option<&'static str> {
    if file.starts_with(b"$ANSIBLE_VAULT") {
        Some("ansible vault")
    } else if file.starts_with(b"gAAAAA") {
        Some("fernet")
    } else {
        None
    }
}

/// The text that a key file is; what it is not is said without quoting it.
fn text<'a>(path: &Path, file: &'a [u8]) -> Result<&'a str, WalletError> {
    text_of(file).map_err(|error| WalletError::format(path, "file", error.to_string()))
}

fn parse(path: &Path, text: &str) -> Result<Wire, WalletError> {
    // serde_json's message may quote a value, hence only the position is passed on.
    serde_json::from_str(text).map_err(|e| {
        WalletError::format(
            path,
            "file",
            format!("not the JSON of a key (line {}, column {})", e.line(), e.column()),
        )
    })
}

impl Wire {
    /// The public half, where any field states it; all that do must agree.
    fn public(&self, path: &Path) -> Result<Option<AccountId>, WalletError> {
        let mut found: Option<AccountId> = None;
        let address = match &self.ss58_address {
            Some(text) => {
                Some(text.parse().map_err(|e| WalletError::format(path, "ss58Address", format!("{e}")))?)
            }
            None => None,
        };
        let public = bytes(path, "publicKey", self.public_key.as_deref())?.map(AccountId);
        let account = bytes(path, "accountId", self.account_id.as_deref())?.map(AccountId);
        for (field, id) in [("ss58Address", address), ("publicKey", public), ("accountId", account)] {
            match (found, id) {
                (Some(a), Some(b)) if a != b => {
                    return Err(WalletError::format(
                        path,
                        field,
                        format!("{b}, where another field says {a}"),
                    ));
                }
                _ => found = found.or(id),
            }
        }
        Ok(found)
    }

    fn keypair(self, path: &Path) -> Result<Keypair, WalletError> {
        if let Some(kind) = self.crypto_type.filter(|&k| k != 1) {
            return Err(WalletError::format(path, "cryptoType", format!("{kind}, expected 1 (sr25519)")));
        }
        let expected = self.public(path)?;
        let private = bytes::<64>(path, "privateKey", self.private_key.as_ref().map(|s| s.as_str()))?
            .map(Zeroizing::new);
        let seed = bytes::<32>(path, "secretSeed", self.secret_seed.as_ref().map(|s| s.as_str()))?
            .map(Zeroizing::new);
        let (field, pair) = match (private, seed, &self.secret_phrase) {
            (Some(key), _, _) => ("privateKey", Keypair::from_private(&key, expected)),
            (None, Some(seed), _) => ("secretSeed", Some(Keypair::from_seed(&seed))),
            (None, None, Some(words)) => ("secretPhrase", Some(from_phrase(path, words)?)),
            (None, None, None) => {
                let problem = "missing, and secretSeed and secretPhrase too";
                return Err(WalletError::format(path, "privateKey", problem.into()));
            }
        };
        pair.filter(|p| expected.is_none_or(|id| p.account() == id)).ok_or_else(|| {
            WalletError::format(path, field, "does not belong to the address the file states".into())
        })
    }
}

/// `0x`-prefixed or bare hexadecimal of exactly `N` bytes. Errors never quote the text.
fn bytes<const N: usize>(
    path: &Path,
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<[u8; N]>, WalletError> {
    let Some(text) = text else { return Ok(None) };
    let bare = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let mut out = [0; N];
    let good = hex::decode_to_slice(bare, &mut out).is_ok();
    if good {
        Ok(Some(out))
    } else {
        Err(WalletError::format(path, field, format!("expected {N} bytes in hexadecimal")))
    }
}
