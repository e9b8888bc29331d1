//! Where checkpoints lie on this machine, and fetching those that lie elsewhere.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::CheckpointSpec;
use edgemaxx_files::{Bounds, FoundFile, WalkError, boundary, files_of};
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
        Source::Path(path) => Err(RunError::input(format!("checkpoint {}", no_folder(&path)))),
        elsewhere => hub::cached(&elsewhere),
    }
}

/// Whether two sources lead to the same folder, however they are spelled.
pub fn is_same_folder(base: &Path, one: &str, other: &str) -> bool {
    let real = |source: &str| source_folder(base, source).ok()?.canonicalize().ok();
    one == other || real(one).is_some_and(|folder| real(other) == Some(folder))
}

/// Where lies what is used in the place of a UNet: in the folder that is named, or in its `unet/`.
///
/// # Errors
/// It is not here, or lies in both.
pub fn unet_folder(named: &Path) -> Result<PathBuf> {
    if !named.is_dir() {
        return Err(RunError::input(format!("unet {}: no such folder", named.display())));
    }
    edgemaxx_candle::unet_folder(named).map_err(|error| RunError::input(format!("unet {error}")))
}

/// Why a path is no checkpoint's folder, and how to come by one.
pub fn no_folder(path: &Path) -> String {
    let shown = path.display();
    if path.exists() && path.extension().is_some_and(|extension| extension == "gguf") {
        return format!(
            "{shown}: a single file, expected the folder that it lies in, alone with what belongs to it"
        );
    }
    if path.exists() {
        return format!(
            "{shown}: a single file, expected a folder in the diffusers layout; convert it: python -c \"from diffusers \
             import StableDiffusionXLPipeline as P; P.from_single_file('{shown}').save_pretrained('OUT')\""
        );
    }
    let text = path.to_string_lossy();
    let bare = text.trim_start_matches("hf:").split('@').next().unwrap_or_default();
    let names = bare.split('/').collect::<Vec<_>>();
    let repository = matches!(names[..], [owner, name] if !owner.is_empty() && !name.is_empty() && !owner.starts_with('.'));
    if text.starts_with("hf:") || repository && path.parent().is_none_or(|parent| !parent.exists()) {
        return format!(
            "{shown}: no such folder, expected one on this machine in the diffusers layout; of the hub's repository \
             {bare}, get one by `hf download {bare} --local-dir FOLDER`"
        );
    }
    format!("{shown}: no such folder")
}

/// The files of a checkpoint's folder.
///
/// # Errors
/// Something in it is no part of a checkpoint: a link that leads out, a pipe, too much.
pub fn checkpoint_files(folder: &Path) -> Result<Vec<FoundFile>, WalkError> {
    let boundary = boundary(folder).map_err(|source| WalkError::Io { path: folder.to_owned(), source })?;
    files_of(folder, &boundary, &Bounds::CHECKPOINT)
}

/// A file that a contest names under `engine.files`; such paths are relative to the contest.
///
/// # Errors
/// There is none.
pub fn own_file(base: &Path, file: &str) -> Result<PathBuf> {
    let path = base.join(file);
    path.canonicalize().map_err(|error| {
        let place = path.display();
        RunError::input(format!(
            "engine.files: {place}: {error}; `files` are relative to the contest's folder"
        ))
    })
}
