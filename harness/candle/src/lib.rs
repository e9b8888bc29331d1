//! The built-in engines. SDXL and CLIP on candle: numerically what diffusers and transformers compute, read from their
//! folder layouts. Language models of LLaMA's layout ([`llama`]): what transformers computes, from its folders or from GGUF
//! files ([`gguf`]), whose weights stay quantised.
//!
//! ```no_run
//! use edgemaxx_candle::{CheckpointSource, GenerateRequest, LoadOptions, Pipeline};
//! # fn main() -> edgemaxx_candle::Result<()> {
//! let source = CheckpointSource { root: "fixtures/models/emoji-sdxl".into(), unet: None };
//! let pipeline = Pipeline::load(&source, &LoadOptions::default())?;
//! let len = pipeline.latent_shape(64, 64)?.iter().product();
//! let picture = pipeline.generate(
//!     &GenerateRequest {
//!         prompt: "red apple".into(),
//!         negative_prompt: None,
//!         latents: edgemaxx_contract::noise::torch_randn(1, len),
//!         seed: 1,
//!         steps: 20,
//!         guidance_scale: 5.0,
//!         width: 64,
//!         height: 64,
//!     },
//!     None,
//! )?;
//! assert_eq!(picture.rgb.len(), 64 * 64 * 3);
//! # Ok(())
//! # }
//! ```
mod accelerator;
pub mod clip;
pub mod copies;
mod cpu;
mod cuda;
mod denoise;
pub mod derive;
mod error;
mod float8;
pub mod gguf;
mod json;
mod limits;
pub mod llama;
mod model_index;
pub mod nn;
mod pipeline;
mod probe;
mod prompt;
pub mod prune;
pub mod schedule;
mod threads;
mod tokenizer_file;
mod trace;
pub mod transformers;
pub mod unet;
mod unread;
pub mod vae;
pub mod weights;
pub mod work;
mod write_tensors;

pub use accelerator::{Accelerator, settings};
pub use clip::Cut;
pub use denoise::Recorded;
pub use error::{Error, Result};
pub use json::read_json;
pub use pipeline::{CheckpointSource, GenerateRequest, LoadOptions, Picture, Pipeline};
pub use probe::peaks;
pub use prompt::{PromptEmbeds, PromptEncoder};
pub use trace::Trace;
pub use unet::unet_folder;
pub use unread::Unread;

/// Compute types and devices, so that users need no dependency of their own.
pub use candle_core::{DType, Device, Tensor};
