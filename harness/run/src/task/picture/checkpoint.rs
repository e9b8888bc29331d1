//! A checkpoint in the diffusers layout: whether the built-in engine can load it, and what it says of itself.

use std::path::Path;

use edgemaxx_candle::schedule::SCHEDULERS;
use edgemaxx_candle::{CheckpointSource, Device, Unread, read_json};
use edgemaxx_contract::input::Input;
use edgemaxx_contract::task::{Object, SettingsPatch, TaskRef, picture};
use edgemaxx_engine::task::picture::Ready;
use serde_json::{Value, json};

use super::engine::load_options;
use crate::candidate_file::CANDIDATE_FILE;
use crate::error::{Result, RunError};
use crate::task::kit::Alone;

/// The file that every checkpoint of the layout has.
pub(super) const INDEX: &str = "model_index.json";

/// Side of pictures where neither checkpoint nor anybody else names one, pixels.
const SIDE: u32 = 512;

/// The scheduler that a candidate names, the layout, and all that the built-in engine would open of it.
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
    let source = CheckpointSource { root: folder.to_owned(), unet: None };
    let usual = Object::of(&picture::Settings::default())?;
    let asked = usual.replaced_by(settings.object());
    let settings = TaskRef::new(&picture::PICTURE).settings(&Input::json("generation", &asked.to_value()))?;
    let side = own(&source).and_then(|(side, _)| side).unwrap_or(SIDE);
    let request = picture::Request {
        prompts: String::new(),
        negative_prompt: String::new(),
        width: side,
        height: side,
    };
    open(&source, &request, &settings.view()?).map(drop)
}

/// Opens a checkpoint as the built-in engine would, without reading a weight.
///
/// # Errors
/// In the engine's words.
pub(super) fn open(
    source: &CheckpointSource,
    request: &picture::Request,
    settings: &picture::Settings,
) -> Result<Vec<String>> {
    let said = |error: edgemaxx_candle::Error| RunError::input(error.to_string());
    let options = load_options(settings.dtype, settings.scheduler.clone(), None, Device::Cpu);
    let checkpoint = Unread::open(source, &options).map_err(said)?;
    let (width, height, steps) = (request.width as usize, request.height as usize, settings.steps as usize);
    checkpoint.serves(width, height, steps).map_err(said)?;
    Ok(checkpoint.remarks().to_vec())
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
    let config = |folder: &Path| -> Option<Value> { read_json(&folder.join("config.json")).ok() };
    let unet = config(&checkpoint.unet_config())?;
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
        assert_eq!(of(Some(root.join("unet"))).ready, Some(ready.object()));
        let nowhere = alone(&CheckpointSource { root: "/no/such/folder".into(), unet: None });
        assert_eq!(nowhere.request.to_value(), json!({"width": 512, "height": 512}));
        assert_eq!(nowhere.ready, None);
    }
}
