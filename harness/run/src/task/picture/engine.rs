//! The built-in engine making pictures, behind the contract's and the protocol's words.

use std::path::PathBuf;

use edgemaxx_candle::{Accelerator, CheckpointSource, Device, GenerateRequest, LoadOptions, Pipeline};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_engine::Load;
use edgemaxx_engine::task::picture::{Picture, Ready, Request, Settings};

use crate::built_in_engine::engine_dtype;

/// How a checkpoint is run.
pub fn load_options(
    dtype: Dtype,
    scheduler: Option<String>,
    threads: Option<u32>,
    device: Device,
) -> LoadOptions {
    LoadOptions {
        dtype: engine_dtype(dtype),
        device,
        threads: threads.map(|threads| threads as usize),
        scheduler,
        ..LoadOptions::default()
    }
}

/// Makes a picture, or says why not.
pub(super) type Generator = Box<dyn FnMut(&Request) -> Result<Picture, String>>;

/// Loads a checkpoint on the device.
///
/// # Errors
/// In words, why not.
pub(super) fn load(
    device: Accelerator,
    load: &Load,
    settings: &Settings,
) -> Result<(Ready, Generator), String> {
    let device = device.open().map_err(|error| error.to_string())?;
    if let Some(part) = load.replaced.keys().find(|part| *part != "unet") {
        return Err(format!("the built-in engine cannot replace a checkpoint's {part:?}, only its unet"));
    }
    let source = CheckpointSource {
        root: PathBuf::from(&load.checkpoint),
        unet: load.replaced.get("unet").map(PathBuf::from),
    };
    let options = LoadOptions {
        vae_tiling: settings.vae_tiling,
        ..load_options(settings.dtype, settings.scheduler.clone(), Some(load.threads), device)
    };
    let pipeline = Pipeline::load(&source, &options).map_err(|error| error.to_string())?;
    let (width, height) = (settings.width as usize, settings.height as usize);
    let [_, channels, latent_height, _] =
        pipeline.latent_shape(width, height).map_err(|error| error.to_string())?;
    let ready = Ready { latent_channels: channels as u32, vae_scale_factor: (height / latent_height) as u32 };
    Ok((ready, Box::new(move |request| generate(&pipeline, request))))
}

fn generate(pipeline: &Pipeline, request: &Request) -> Result<Picture, String> {
    let ask = &request.ask;
    let picture = pipeline
        .generate(
            &GenerateRequest {
                prompt: ask.prompt.clone(),
                // The protocol has no "none": an empty negative prompt is none, as in diffusers.
                negative_prompt: Some(ask.negative_prompt.clone()).filter(|text| !text.is_empty()),
                latents: request.latents.clone(),
                seed: ask.seed,
                steps: ask.steps as usize,
                guidance_scale: ask.guidance_scale,
                width: ask.width as usize,
                height: ask.height as usize,
            },
            None,
        )
        .map_err(|error| error.to_string())?;
    Ok(Picture { width: picture.width as u32, height: picture.height as u32, rgb: picture.rgb })
}
