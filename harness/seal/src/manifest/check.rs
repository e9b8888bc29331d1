//! Checking what was sealed: the signature, every file, the day before.

use std::io;
use std::path::Path;

use edgemaxx_contract::run_files::PLAN_FILE;

use super::document::{MANIFEST_FILE, Manifest, SealedFile};
use super::error::SealError;
use super::folder::{NOT_PUBLISHED, digest_of, published, read};
use crate::sign;

/// By how much a file may be longer than it was, and still be read to its end to say what it is now.
const LONGER: u64 = 1 << 30;

/// Whether the manifest is signed by who it says; the signer's address, `None` when nobody signed.
///
/// # Errors
/// [`SealError`]: the signature is wrong.
pub fn check_signature(manifest: &Manifest) -> Result<Option<&str>, SealError> {
    let Some(signature) = &manifest.signature else { return Ok(None) };
    let wrong = |problem: String| SealError::differs(MANIFEST_FILE, problem);
    if signature.scheme != sign::SCHEME {
        return Err(wrong(format!("expected a signature by {}, found {:?}", sign::SCHEME, signature.scheme)));
    }
    sign::check(&signature.hotkey, manifest.signed_bytes().as_bytes(), &signature.signature)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Some(&signature.hotkey))
}

/// Whether every sealed file is there, byte for byte, and nothing was added beside them.
///
/// # Errors
/// [`SealError::Differs`] names the first file that is not, in the manifest's order.
pub fn check_files(folder: &Path, manifest: &Manifest) -> Result<(), SealError> {
    for file in &manifest.files {
        check_file(folder, file)?;
    }
    let sealed = manifest.file(PLAN_FILE).map(|file| file.digest);
    if sealed != manifest.plan {
        return Err(SealError::differs(MANIFEST_FILE, "plan is not the digest of plan.json"));
    }
    match published(folder)?.into_iter().find(|path| manifest.file(path).is_none()) {
        Some(added) => Err(SealError::differs(&added, "not sealed; it was added later")),
        None => Ok(()),
    }
}

/// Whether one sealed file is there, byte for byte.
///
/// # Errors
/// [`SealError::Differs`] names it.
pub fn check_file(folder: &Path, file: &SealedFile) -> Result<(), SealError> {
    if !is_of_a_run(&file.path) {
        return Err(SealError::differs(MANIFEST_FILE, format!("names {:?}, no path of a run", file.path)));
    }
    // One without end is not read to it.
    let found = std::fs::metadata(folder.join(&file.path)).map_or(0, |found| found.len());
    if found > file.bytes.saturating_add(LONGER) {
        let sealed = format!("sealed {} ({} bytes)", file.digest.short(), file.bytes);
        let problem = format!("altered since it was sealed: {sealed}, found {found} bytes");
        return Err(SealError::differs(&file.path, problem));
    }
    let (bytes, digest) = match digest_of(&folder.join(&file.path)) {
        Err(SealError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(SealError::differs(&file.path, "missing"));
        }
        found => found?,
    };
    if digest != file.digest {
        let problem = format!(
            "altered since it was sealed: sealed {} ({} bytes), found {} ({bytes} bytes)",
            file.digest.short(),
            file.bytes,
            digest.short()
        );
        return Err(SealError::differs(&file.path, problem));
    }
    if bytes != file.bytes {
        return Err(SealError::differs(MANIFEST_FILE, format!("the length of {} is wrong", file.path)));
    }
    Ok(())
}

/// Whether a manifest may name this path: it stays inside the folder and is not of what is never published.
pub fn is_of_a_run(path: &str) -> bool {
    let inside = !path.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    inside && !path.contains(['\\', ':', '\0']) && !NOT_PUBLISHED.contains(&path)
}

/// Whether `previous` is the sealed day that `manifest` says it follows.
///
/// # Errors
/// [`SealError`] says what does not fit.
pub fn check_previous(manifest: &Manifest, previous: &Path) -> Result<(), SealError> {
    let (before, digest) = read(previous)?;
    let wrong = |problem: String| Err(SealError::differs(MANIFEST_FILE, problem));
    match &manifest.previous {
        None => wrong("names no day before".to_owned()),
        Some(named) if named.manifest != digest => wrong(format!(
            "follows {} of {}, but {} holds {}",
            named.manifest.short(),
            named.day,
            previous.display(),
            digest.short()
        )),
        Some(named) if named.day != before.day || before.day >= manifest.day => {
            wrong(format!("{} does not follow {}", manifest.day, before.day))
        }
        Some(_) => Ok(()),
    }
}
