//! A submission's files, as a day takes them: fetched, its settings read, digested.

use std::path::Path;

use edgemaxx_contract::contest::CheckpointSpec;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::task::TaskRef;

use crate::candidate_file::candidate_file;
use crate::error::Result;
use crate::progress::Observer;
use crate::resolve::FolderDigests;
use crate::sources::{pinned, source_folder};

/// The digest by which a plan would call the submission of `source`.
///
/// # Errors
/// It cannot be fetched, or is not what it must be.
pub fn digest(base: &Path, source: &str, task: TaskRef, observer: &dyn Observer) -> Result<Digest> {
    let spec = CheckpointSpec { source: source.to_owned(), unet: None, derive: None };
    let spec = pinned(base, &spec, observer)?;
    candidate_file(&source_folder(base, &spec.source)?, task)?;
    FolderDigests::default().of(base, &spec)
}
