//! Sealing a run folder: the digest of every file, the day before, a signature.

use std::path::Path;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::run_files::PLAN_FILE;
use edgemaxx_files::write_whole;

use super::check::check_signature;
use super::document::{MANIFEST_FILE, Manifest, PreviousDay, SealedFile, Signature};
use super::error::SealError;
use super::folder::{digest_of, published, read};
use crate::sign::{self, Signer};

/// Seals `folder` as the run of `day`; writes its `manifest.json`, whole or not at all. What this signer has sealed
/// already keeps its seal: a signature is another one each time, and so would the manifest's digest be.
///
/// # Errors
/// [`SealError`]: a file cannot be read or written, or the signer refuses.
pub fn seal(
    folder: &Path,
    day: &Day,
    previous: Option<PreviousDay>,
    signer: Option<&dyn Signer>,
) -> Result<Manifest, SealError> {
    let mut files = Vec::new();
    for path in published(folder)? {
        let (bytes, digest) = digest_of(&folder.join(&path))?;
        files.push(SealedFile { path, bytes, digest });
    }
    let plan = files.iter().find(|file| file.path == PLAN_FILE).map(|file| file.digest);
    let mut manifest = Manifest {
        format: Manifest::expected_format(),
        edgemaxx: env!("CARGO_PKG_VERSION").to_owned(),
        day: day.clone(),
        plan,
        previous,
        files,
        signature: None,
    };
    if let Some(signer) = signer {
        if let Ok((sealed, _)) = read(folder)
            && (Manifest { signature: None, ..sealed.clone() }) == manifest
            && check_signature(&sealed).is_ok_and(|by| by == Some(&signer.hotkey()))
        {
            return Ok(sealed);
        }
        let signature = signer.sign(manifest.signed_bytes().as_bytes())?;
        manifest.signature = Some(Signature {
            scheme: sign::SCHEME.to_owned(),
            hotkey: signer.hotkey(),
            signature: hex::encode(signature),
        });
    }
    let path = folder.join(MANIFEST_FILE);
    write_whole(&path, manifest.to_json().as_bytes()).map_err(SealError::io(&path))?;
    Ok(manifest)
}
