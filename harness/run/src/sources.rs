//! Where checkpoints lie on this machine, and fetching those that lie elsewhere.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::CheckpointSpec;
use edgemaxx_hub::Source;

use crate::error::{Result, RunError};
use crate::hub;
use crate::progress::Observer;

/// Fetches a checkpoint that lies elsewhere, and names it so that it can never mean something else.
///
/// # Errors
/// The source is none, or cannot be fetched.
pub fn pinned(base: &Path, checkpoint: &CheckpointSpec, observer: &dyn Observer) -> Result<CheckpointSpec> {
    let mut source = source_of(base, &checkpoint.source)?;
    match &mut source {
        Source::Path(_) => Ok(checkpoint.clone()),
        Source::Git { .. } | Source::Hub { .. } => {
            let resolved = hub::fetch(&source, observer)?;
            if let Source::Git { revision, .. } | Source::Hub { revision, .. } = &mut source {
                *revision = resolved.revision;
            }
            Ok(CheckpointSpec { source: source.to_string(), ..checkpoint.clone() })
        }
    }
}

/// The source a text names; paths are relative to the contest's folder.
fn source_of(base: &Path, text: &str) -> Result<Source> {
    Ok(match text.parse::<Source>()? {
        Source::Path(path) => Source::Path(base.join(path)),
        Source::Git { mirror, revision } => Source::Git { mirror: base.join(mirror), revision },
        hub => hub,
    })
}

/// Where a checkpoint source lies on this machine. Nothing is fetched: that was done when the run was planned.
///
/// # Errors
/// It is not here.
pub fn source_folder(base: &Path, source: &str) -> Result<PathBuf> {
    match source_of(base, source)? {
        Source::Path(folder) if folder.is_dir() => Ok(folder),
        Source::Path(folder) => {
            Err(RunError::input(format!("checkpoint {}: no such folder", folder.display())))
        }
        elsewhere => hub::cached(&elsewhere),
    }
}

/// Where a replaced UNet lies: the folder itself, or its `unet/`.
///
/// # Errors
/// It is not here.
pub fn unet_folder(base: &Path, unet: &str) -> Result<PathBuf> {
    let folder = base.join(unet);
    let inner = folder.join("unet");
    match (inner.is_dir(), folder.is_dir()) {
        (true, _) => Ok(inner),
        (false, true) => Ok(folder),
        (false, false) => Err(RunError::input(format!("unet {}: no such folder", folder.display()))),
    }
}
