//! Whether a folder is a checkpoint that a validator can measure.

use std::path::Path;

use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device};
use edgemaxx_contract::contest::{CandidateFile, EngineSpec};
use edgemaxx_contract::digest::Digest;
use edgemaxx_hub::{Resolved, resolve_folder};
use edgemaxx_run::hub::{digest_of, rules};
use edgemaxx_run::resolve::candidate_file;
use edgemaxx_run::task::of_checkpoint;
use serde::Serialize;

use crate::error::Failure;

/// A checked checkpoint.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// Files that travel.
    pub(super) files: usize,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Files that stay here: pickles, pictures, the card.
    pub(super) left_out: Vec<String>,
    /// Whether it brings its own engine.
    pub(super) own_engine: bool,
    /// What everybody who fetches it will know it by.
    pub(super) digest: Digest,
}

/// Layout, sizes, names, every safetensors header, edgemaxx.toml.
pub(super) fn check(folder: &Path) -> anyhow::Result<Checked> {
    let resolved = resolve_folder(folder, folder, None, &rules())?;
    check_resolved(&resolved)
}

/// The same of a checkpoint that was resolved already.
pub(super) fn check_resolved(resolved: &Resolved) -> anyhow::Result<Checked> {
    let folder = &resolved.root;
    let kit = of_checkpoint(folder);
    let CandidateFile { engine, settings } = candidate_file(folder, kit.task())?;
    let own_engine = matches!(engine, Some(EngineSpec::Command(_)));
    for file in resolved.files.iter().filter(|f| f.path.ends_with(".safetensors")) {
        Weights::open_files(vec![folder.join(&file.path)], DType::F32, &Device::Cpu)?;
    }
    // Who brings an engine may lay the files out as the engine likes.
    if !own_engine {
        let native = kit.native().ok_or_else(|| {
            Failure::input(format!(
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
