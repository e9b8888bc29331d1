//! Which part of each matrix the check of copies reads. What makes a copy: [`crate::likeness`].

use edgemaxx_contract::digest::Digest;

/// Which part of each matrix is read: nobody can prepare for it before the entropy is known.
pub fn salt(entropy: &str) -> u64 {
    let digest = Digest::of_fields([b"edgemaxx-copies-1".as_slice(), entropy.as_bytes()]);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
