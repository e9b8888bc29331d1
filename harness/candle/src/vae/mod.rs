//! The decoder from latents to pictures: the half of diffusers' `AutoencoderKL` that generation needs.
mod config;
mod decoder;
mod tiled;

pub use config::VaeConfig;
pub use decoder::Vae;
