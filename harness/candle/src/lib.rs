//! The built-in SDXL engine and CLIP on candle.
//!
//! Numerically what diffusers and transformers compute, read from their folder layouts.
pub mod clip;
mod error;
pub mod nn;
pub mod schedule;
pub mod unet;
pub mod weights;

pub use error::{Error, Result, read_json};
