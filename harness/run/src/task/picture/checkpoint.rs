//! A checkpoint in the diffusers layout: whether the built-in engine can load it, and what it says of itself.

use std::path::Path;

use edgemaxx_candle::schedule::SCHEDULERS;
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, unet};
use edgemaxx_contract::task::{Object, SettingsPatch, picture};
use edgemaxx_engine::task::picture::Ready;
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::resolve::CANDIDATE_FILE;
use crate::task::kit::Alone;

/// The file that every checkpoint of the layout has.
pub(super) const INDEX: &str = "model_index.json";

/// Side of pictures where neither checkpoint nor anybody else names one, pixels.
const SIDE: u32 = 512;

/// Components of the layout, and the stem of their files' names.
const MODELS: [(&str, &str); 4] = [
    ("text_encoder", "model"),
    ("text_encoder_2", "model"),
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
];

/// The scheduler that a candidate names, the layout, every component's safetensors header, the UNet's configuration.
///
/// # Errors
/// Names the file, what was expected, and what was found.
pub(super) fn check(folder: &Path, settings: &SettingsPatch) -> Result<()> {
    let scheduler = settings.view::<picture::SettingsPatch>()?.scheduler;
    if let Some(name) = scheduler.filter(|name| !SCHEDULERS.contains(&name.as_str())) {
        return Err(RunError::input(format!(
            "{}: generation.scheduler: expected {}, the built-in engine's schedulers, found {name:?}",
            folder.join(CANDIDATE_FILE).display(),
            SCHEDULERS.join(" or ")
        )));
    }
    if !folder.join(INDEX).is_file() {
        return Err(RunError::input(format!(
            "{}: no {INDEX}: expected the diffusers layout, or an edgemaxx.toml that names an engine",
            folder.display()
        )));
    }
    let said = |error: edgemaxx_candle::Error| RunError::input(error.to_string());
    for (name, stem) in MODELS {
        Weights::open_dir(&folder.join(name), stem, DType::F32, &Device::Cpu).map_err(said)?;
    }
    unet::UNetConfig::read(&folder.join("unet/config.json")).map_err(said)?;
    Ok(())
}

/// What a checkpoint is asked where no contest says it: pictures of the size that it was made for.
pub(super) fn alone(checkpoint: &CheckpointSource) -> Alone {
    let (side, ready) = own(checkpoint).unwrap_or_default();
    let side = side.unwrap_or(SIDE);
    let settings = Object::of(&picture::Settings::default()).unwrap_or_default();
    Alone {
        request: Object::from_iter([("width", json!(side)), ("height", json!(side))]),
        settings,
        ready: ready.map(|ready| ready.object()),
    }
}

/// The side of the pictures that a checkpoint was made for, the UNet's latents times the VAE's factor, in pixels; and
/// what its engine must say when it is ready. A replaced UNet is read instead of the checkpoint's own.
fn own(checkpoint: &CheckpointSource) -> Option<(Option<u32>, Option<Ready>)> {
    let config = |folder: &Path| -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).ok()?).ok()
    };
    let unet = match &checkpoint.unet {
        None => config(&checkpoint.root.join("unet")),
        Some(folder) => config(&folder.join("unet")).or_else(|| config(folder)),
    }?;
    let vae = config(&checkpoint.root.join("vae"))?;
    let number = |name: &str| u32::try_from(unet.get(name)?.as_u64()?).ok();
    // 2 for each of its blocks but the first
    let factor = || {
        let blocks = vae.get("block_out_channels")?.as_array()?.len();
        1u32.checked_shl(u32::try_from(blocks).ok()?.checked_sub(1)?)
    };
    let side = || number("sample_size")?.checked_mul(factor()?).filter(|side| (8..=8192).contains(side));
    let ready = || {
        let ready = Ready { latent_channels: number("in_channels")?, vae_scale_factor: factor()? };
        Ready::parse(&ready.object()).ok()
    };
    Some((side(), ready()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_says_its_size_and_its_latents() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-sdxl");
        let of = |unet| alone(&CheckpointSource { root: root.clone(), unet });
        let found = of(None);
        assert_eq!(found.request.to_value(), json!({"width": 64, "height": 64}));
        let ready = Ready { latent_channels: 4, vae_scale_factor: 4 };
        assert_eq!(found.ready, Some(ready.object()));
        // a folder that holds a UNet, and one whose unet/ does
        for folder in [root.join("unet"), root.clone()] {
            assert_eq!(of(Some(folder)).ready, Some(ready.object()));
        }
        let nowhere = alone(&CheckpointSource { root: "/no/such/folder".into(), unet: None });
        assert_eq!(nowhere.request.to_value(), json!({"width": 512, "height": 512}));
        assert_eq!(nowhere.ready, None);
    }
}
