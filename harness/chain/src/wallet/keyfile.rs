//! One hotkey file: read with care, decrypted where needed, checked against its own public half.

use super::{Keypair, PasswordSource, WalletError, nacl};
use crate::AccountId;
use serde::Deserialize;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// A key file has about 600 bytes; whatever is larger is none.
const MAX_BYTES: u64 = 64 * 1024;

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
}

/// The public half alone, from a `…pub.txt` file.
pub(super) fn read_public(path: &Path) -> Result<AccountId, WalletError> {
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(|source| WalletError::Io { path: path.to_owned(), source })?;
    let wire = parse(path, &text)?;
    wire.public(path)?.ok_or_else(|| format(path, "ss58Address", "missing".into()))
}

/// Open a hotkey file.
pub(super) fn read_hotkey(path: &Path, password: &PasswordSource) -> Result<Keypair, WalletError> {
    let file = read_secret(path)?;
    let plain = if file.starts_with(nacl::MAGIC) {
        let (word, asked) = password.ask(path)?;
        nacl::open(&file, &word).ok_or_else(|| WalletError::WrongPassword { path: path.to_owned(), asked })?
    } else if let Some(kind) = legacy(&file) {
        return Err(WalletError::Legacy { path: path.to_owned(), kind });
    } else {
        file
    };
    parse(path, &plain)?.keypair(path)
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

/// Read a file that holds a secret: a plain file that only its owner may read, of modest size.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let io = |source| WalletError::Io { path: path.to_owned(), source };
    let link = std::fs::symlink_metadata(path).map_err(io)?;
    if !link.is_file() {
        return Err(WalletError::NotAPlainFile { path: path.to_owned() });
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let opened = file.metadata().map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = opened.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(WalletError::Mode { path: path.to_owned(), mode });
        }
    }
    if opened.len() > MAX_BYTES {
        return Err(format(path, "file", format!("{} bytes, expected at most {MAX_BYTES}", opened.len())));
    }
    // One allocation of the final size, so that no grown-out-of copy stays behind unwiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(opened.len() as usize + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn format(path: &Path, field: &'static str, problem: String) -> WalletError {
    WalletError::Format { path: path.to_owned(), field, problem }
}

fn parse(path: &Path, text: &[u8]) -> Result<Wire, WalletError> {
    // serde_json's message may quote a value, hence only the position is passed on.
    serde_json::from_slice(text).map_err(|e| {
        format(path, "file", format!("not the JSON of a key (line {}, column {})", e.line(), e.column()))
    })
}

impl Wire {
    /// The public half, where any field states it; all that do must agree.
    fn public(&self, path: &Path) -> Result<Option<AccountId>, WalletError> {
        let mut found: Option<AccountId> = None;
        let address = match &self.ss58_address {
            Some(text) => Some(text.parse().map_err(|e| format(path, "ss58Address", format!("{e}")))?),
            None => None,
        };
        let public = bytes(path, "publicKey", self.public_key.as_deref())?.map(AccountId);
        let account = bytes(path, "accountId", self.account_id.as_deref())?.map(AccountId);
        for (field, id) in [("ss58Address", address), ("publicKey", public), ("accountId", account)] {
            match (found, id) {
                (Some(a), Some(b)) if a != b => {
                    return Err(format(path, field, format!("{b}, where another field says {a}")));
                }
                _ => found = found.or(id),
            }
        }
        Ok(found)
    }

    fn keypair(self, path: &Path) -> Result<Keypair, WalletError> {
        if let Some(kind) = self.crypto_type.filter(|&k| k != 1) {
            return Err(format(path, "cryptoType", format!("{kind}, expected 1 (sr25519)")));
        }
        let expected = self.public(path)?;
        let private = bytes::<64>(path, "privateKey", self.private_key.as_ref().map(|s| s.as_str()))?
            .map(Zeroizing::new);
        let seed = bytes::<32>(path, "secretSeed", self.secret_seed.as_ref().map(|s| s.as_str()))?
            .map(Zeroizing::new);
        let (field, pair) = match (private, seed) {
            (Some(key), _) => ("privateKey", Keypair::from_private(&key, expected)),
            (None, Some(seed)) => ("secretSeed", Some(Keypair::from_seed(&seed))),
            (None, None) => {
                return Err(format(path, "privateKey", "missing, and secretSeed too".into()));
            }
        };
        pair.filter(|p| expected.is_none_or(|id| p.account() == id))
            .ok_or_else(|| format(path, field, "does not belong to the address the file states".into()))
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
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = [0; N];
    let good = bare.len() == 2 * N
        && out.iter_mut().zip(bare.chunks_exact(2)).all(|(byte, pair)| {
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => {
                    *byte = high << 4 | low;
                    true
                }
                _ => false,
            }
        });
    if good { Ok(Some(out)) } else { Err(format(path, field, format!("expected {N} bytes in hexadecimal"))) }
}
