//! `$NACL` key files: Argon2i (v1.3, t = 8, m = 512 MiB, p = 1, fixed salt) and XSalsa20-Poly1305.

use argon2::{Algorithm, Argon2, Params, Version};
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use zeroize::Zeroizing;

/// First bytes of an encrypted key file.
pub(super) const MAGIC: &[u8] = b"$NACL";

/// The salt every bittensor-wallet uses (constant, so the password alone is the secret).
const SALT: [u8; 16] =
    [0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc, 0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1];
const NONCE: usize = 24;
const TAG: usize = 16;

/// Decrypt a whole `$NACL` file. `None`: too short, wrong password or damaged; the format cannot tell them apart.
/// Takes about four seconds and 512 MiB, by design of the format.
pub(super) fn open(file: &[u8], password: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = file.strip_prefix(MAGIC)?;
    if body.len() < NONCE + TAG {
        return None;
    }
    let (nonce, sealed) = body.split_at(NONCE);
    let params = Params::new(512 * 1024, 8, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2i, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), &SALT, &mut key[..])
        .ok()?;
    let cipher = XSalsa20Poly1305::new(Key::from_slice(&key[..]));
    cipher.decrypt(Nonce::from_slice(nonce), sealed).ok().map(Zeroizing::new)
}
