//! The built-in engine: edgemaxx-candle behind the contract's and the protocol's words.

use std::path::PathBuf;

use edgemaxx_candle::{Accelerator, CheckpointSource, DType, Device, GenerateRequest, LoadOptions, Pipeline};
use edgemaxx_contract::contest::Dtype;
use edgemaxx_engine::Picture;
use edgemaxx_protocol::{Dtype as WireDtype, Generate, Hello, Load, Ready};

/// The contract's number format in the engine's words.
pub fn engine_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    }
}

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

/// The contract's number format in the protocol's words.
pub fn wire_dtype(dtype: Dtype) -> WireDtype {
    match dtype {
        Dtype::F32 => WireDtype::F32,
        Dtype::F16 => WireDtype::F16,
        Dtype::Bf16 => WireDtype::Bf16,
    }
}

/// Serves the harness with the built-in engine on a device.
///
/// # Errors
/// The harness is gone, or does not keep to the protocol.
pub fn serve(device: Accelerator) -> Result<(), edgemaxx_engine::ServeError> {
    let hello = Hello { engine: "edgemaxx-candle".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    edgemaxx_engine::serve(&hello, |wanted| load(device, wanted)).map(|_| ())
}

/// Makes a picture, or says why not.
type Generator = Box<dyn FnMut(&Generate) -> Result<Picture, String>>;

fn load(device: Accelerator, load: &Load) -> Result<(Ready, Generator), String> {
    let device = device.open().map_err(|error| error.to_string())?;
    let source = CheckpointSource {
        root: PathBuf::from(&load.checkpoint),
        unet: load.unet.as_ref().map(PathBuf::from),
    };
    let settings = &load.settings;
    let dtype = match settings.dtype {
        WireDtype::F32 => Dtype::F32,
        WireDtype::F16 => Dtype::F16,
        WireDtype::Bf16 => Dtype::Bf16,
    };
    let options = LoadOptions {
        vae_tiling: settings.vae_tiling,
        ..load_options(dtype, settings.scheduler.clone(), Some(settings.threads), device)
    };
    let pipeline = Pipeline::load(&source, &options).map_err(|error| error.to_string())?;
    let (width, height) = (settings.width as usize, settings.height as usize);
    let [_, channels, latent_height, _] =
        pipeline.latent_shape(width, height).map_err(|error| error.to_string())?;
    let ready = Ready { latent_channels: channels as u32, vae_scale_factor: (height / latent_height) as u32 };
    Ok((ready, Box::new(move |request| generate(&pipeline, request))))
}

fn generate(pipeline: &Pipeline, request: &Generate) -> Result<Picture, String> {
    let picture = pipeline
        .generate(
            &GenerateRequest {
                prompt: request.prompt.clone(),
                // The protocol has no "none": an empty negative prompt is none, as in diffusers.
                negative_prompt: Some(request.negative_prompt.clone()).filter(|text| !text.is_empty()),
                latents: request.latents.clone(),
                steps: request.steps as usize,
                guidance_scale: request.guidance_scale,
                width: request.width as usize,
                height: request.height as usize,
            },
            None,
        )
        .map_err(|error| error.to_string())?;
    Ok(Picture { width: picture.width as u32, height: picture.height as u32, rgb: picture.rgb })
}
