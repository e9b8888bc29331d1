//! Whether a folder is a checkpoint that a validator can measure.

use std::path::Path;

use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device};
use edgemaxx_contract::contest::{CandidateFile, EngineSpec};
use edgemaxx_contract::digest::Digest;
use edgemaxx_hub::{Resolved, resolve_folder};
use serde::Serialize;

use crate::candidate_file::candidate_file;
use crate::error::{Result, RunError, words};
use crate::hub::{digest_of, rules};
use crate::task::of_checkpoint;

/// A checked checkpoint.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Files that travel.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay here: pickles, pictures, the card.
    pub left_out: Vec<String>,
    /// Whether it brings its own engine.
    pub own_engine: bool,
    /// What everybody who fetches it will know it by.
    pub digest: Digest,
}

/// Layout, sizes, names, every safetensors header, edgemaxx.toml.
///
/// # Errors
/// Names the file, what was expected, and what was found.
pub fn check(folder: &Path) -> Result<Checked> {
    let resolved = resolve_folder(folder, folder, None, &rules())?;
    check_resolved(&resolved)
}

/// The same of a checkpoint that was resolved already.
///
/// # Errors
/// As [`check`].
pub fn check_resolved(resolved: &Resolved) -> Result<Checked> {
    let folder = &resolved.root;
    let kit = of_checkpoint(folder);
    let CandidateFile { engine, settings } = candidate_file(folder, kit.task())?;
    let engine = engine.unwrap_or(EngineSpec::Native);
    let own_engine = !engine.is_built_in();
    for file in resolved.files.iter().filter(|f| f.path.ends_with(".safetensors")) {
        Weights::open_files(vec![folder.join(&file.path)], DType::F32, &Device::Cpu)
            .map_err(|error| RunError::input(words(&error)))?;
    }
    // Who brings an engine may lay the files out as the engine likes.
    if !own_engine {
        let native = kit.built_in(&engine).ok_or_else(|| {
            RunError::input(format!(
                "{}: the built-in engine cannot do the task {}",
                folder.display(),
                kit.task()
            ))
        })?;
        native.check(folder, &settings)?;
    }
    Ok(Checked {
        files: resolved.files.len(),
        bytes: resolved.total_bytes(),
        left_out: resolved.skipped.clone(),
        own_engine,
        digest: digest_of(resolved),
    })
}
