//! Whether a folder is a checkpoint that a validator can measure.

use std::path::Path;

use edgemaxx_candle::schedule::SCHEDULERS;
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device, unet};
use edgemaxx_contract::contest::{CandidateFile, EngineSpec};
use edgemaxx_contract::task::{self, picture};
use edgemaxx_hub::{Resolved, resolve_folder};
use edgemaxx_run::hub::rules;
use edgemaxx_run::resolve::{CANDIDATE_FILE, candidate_file};
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
}

/// Components of the built-in engine's layout, and the stem of their files' names.
const MODELS: [(&str, &str); 4] = [
    ("text_encoder", "model"),
    ("text_encoder_2", "model"),
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
];

/// Layout, sizes, names, every safetensors header, edgemaxx.toml.
pub(super) fn check(folder: &Path) -> anyhow::Result<Checked> {
    let resolved = resolve_folder(folder, folder, None, &rules())?;
    check_resolved(&resolved)
}

/// The same of a checkpoint that was resolved already.
pub(super) fn check_resolved(resolved: &Resolved) -> anyhow::Result<Checked> {
    let folder = &resolved.root;
    let CandidateFile { engine, settings } = candidate_file(folder, task::DEFAULT)?;
    let own_engine = matches!(engine, Some(EngineSpec::Command(_)));
    for file in resolved.files.iter().filter(|f| f.path.ends_with(".safetensors")) {
        Weights::open_files(vec![folder.join(&file.path)], DType::F32, &Device::Cpu)?;
    }
    // Who brings an engine may lay the files out as the engine likes.
    if !own_engine {
        let scheduler = settings.view::<picture::SettingsPatch>()?.scheduler;
        if let Some(name) = scheduler.filter(|name| !SCHEDULERS.contains(&name.as_str())) {
            return Err(Failure::input(format!(
                "{}: generation.scheduler: expected {}, the built-in engine's schedulers, found {name:?}",
                folder.join(CANDIDATE_FILE).display(),
                SCHEDULERS.join(" or ")
            )));
        }
        if !folder.join("model_index.json").is_file() {
            return Err(Failure::input(format!(
                "{}: no model_index.json: expected the diffusers layout, or an edgemaxx.toml that names an engine",
                folder.display()
            )));
        }
        for (name, stem) in MODELS {
            Weights::open_dir(&folder.join(name), stem, DType::F32, &Device::Cpu)?;
        }
        unet::UNetConfig::read(&folder.join("unet/config.json"))?;
    }
    Ok(Checked {
        files: resolved.files.len(),
        bytes: resolved.total_bytes(),
        left_out: resolved.skipped.clone(),
        own_engine,
    })
}
