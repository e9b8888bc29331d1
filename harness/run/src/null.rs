//! The null engine: answers at once, so that what is timed is the protocol.

use std::ffi::OsString;

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::Failure;
use edgemaxx_engine::{Engine as _, Picture, ProcessEngine, ProcessSpec, Request, ServeError};
use edgemaxx_protocol::{Dtype, Hello, Load, Ready, Settings};

/// Requests made; the median of their latencies is the answer.
const REQUESTS: u64 = 21;
/// As SDXL's.
const READY: Ready = Ready { latent_channels: 4, vae_scale_factor: 8 };

/// Serves the harness with grey pictures.
///
/// # Errors
/// The harness is gone, or does not keep to the protocol.
pub fn serve() -> Result<(), ServeError> {
    let hello = Hello { engine: "null".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    edgemaxx_engine::serve(&hello, |load: &Load| {
        let (width, height) = (load.settings.width, load.settings.height);
        let picture = move || Picture { width, height, rgb: vec![127; width as usize * height as usize * 3] };
        let mut pictures: Vec<Picture> = (0..REQUESTS).map(|_| picture()).collect();
        Ok((READY, move |_: &_| Ok(pictures.pop().unwrap_or_else(picture))))
    })
    .map(|_| ())
}

/// Nanoseconds that the protocol adds to every latency of `plan`, measured now: the median over
/// [`REQUESTS`] requests of the plan's size, to `process`, which is to be the null engine.
///
/// # Errors
/// The null engine fails.
pub fn overhead_ns(plan: &Plan, mut process: ProcessSpec) -> Result<u64, Failure> {
    process.command.truncate(1);
    process.command.extend(["engine", "null"].map(OsString::from));
    let (mut engine, _, _) = ProcessEngine::launch(&process)?;
    let (width, height) = (plan.request.width, plan.request.height);
    let settings = Settings {
        steps: 1,
        guidance_scale: 1.0,
        scheduler: None,
        vae_tiling: false,
        dtype: Dtype::F32,
        threads: plan.measurement.threads,
        width,
        height,
    };
    engine.load(&Load { checkpoint: "/".to_owned(), unet: None, settings })?;
    let latent_shape =
        [READY.latent_channels, height / READY.vae_scale_factor, width / READY.vae_scale_factor];
    let latents = vec![0.5; latent_shape.iter().map(|side| *side as usize).product()];
    let mut latencies = Vec::new();
    for id in 1..=REQUESTS {
        let answer = engine.generate(&Request {
            id,
            prompt: "a red apple on a table by the window",
            negative_prompt: &plan.request.negative_prompt,
            seed: id,
            steps: 1,
            guidance_scale: 1.0,
            width,
            height,
            latent_shape,
            latents: &latents,
        })?;
        latencies.push(answer.latency_ns);
    }
    engine.close();
    latencies.sort_unstable();
    Ok(latencies[latencies.len() / 2])
}
