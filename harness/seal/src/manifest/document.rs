//! The document itself.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::document;
use edgemaxx_contract::format::{Document as _, Format};
use edgemaxx_contract::plan::Day;
use serde::{Deserialize, Serialize};

/// The name of the file.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The largest one that is read or fetched, bytes: of three hundred thousand files.
pub const MOST_MANIFEST: u64 = 64 << 20;

/// Every file of a run with its digest, chained to the day before, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Manifest {
    /// `edgemaxx-manifest`.
    #[serde(flatten)]
    pub format: Format,
    /// Version of EdgeMaxx that sealed.
    pub edgemaxx: String,
    /// The contest's day.
    pub day: Day,
    /// Digest of `plan.json`; `None` for a day on which nothing was measured.
    pub plan: Option<Digest>,
    /// The sealed day before; `None` for the first of a chain.
    pub previous: Option<PreviousDay>,
    /// All files but this one, by path.
    pub files: Vec<SealedFile>,
    /// Over [`Manifest::signed_bytes`]; `None`: nobody answers for it.
    pub signature: Option<Signature>,
}

document!(Manifest, "edgemaxx-manifest", 1);

/// The day that a manifest follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviousDay {
    /// Its day.
    pub day: Day,
    /// Digest of its `manifest.json`.
    pub manifest: Digest,
}

/// One file of a sealed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SealedFile {
    /// Path inside the run folder, with `/`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Who answers for a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// `sr25519`, in the context `substrate`, as Bittensor's wallets sign.
    pub scheme: String,
    /// The signer's address (SS58).
    pub hotkey: String,
    /// 64 bytes, hexadecimal.
    pub signature: String,
}

impl Manifest {
    /// What is signed: this document without its signature.
    pub fn signed_bytes(&self) -> String {
        Self { signature: None, ..self.clone() }.to_json()
    }

    /// The sealed file at `path`.
    pub fn file(&self, path: &str) -> Option<&SealedFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_no_part_of_what_is_signed() {
        let unsigned = Manifest {
            format: Manifest::expected_format(),
            edgemaxx: "0.1.0".to_owned(),
            day: "2026-11-22".parse().unwrap(),
            plan: None,
            previous: None,
            files: vec![SealedFile { path: "a".to_owned(), bytes: 1, digest: Digest::of("a") }],
            signature: None,
        };
        let signature =
            Signature { scheme: "s".to_owned(), hotkey: "h".to_owned(), signature: String::new() };
        let signed = Manifest { signature: Some(signature), ..unsigned.clone() };
        assert_eq!(signed.signed_bytes(), unsigned.signed_bytes());
        assert_ne!(signed.to_json(), unsigned.to_json());
    }
}
