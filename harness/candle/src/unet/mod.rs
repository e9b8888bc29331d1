//! SDXL's denoiser: diffusers' `UNet2DConditionModel` with added text and time conditioning.
mod blocks;
mod config;
mod embedding;
mod model;
mod resnet;
mod transformer;

pub use config::UNetConfig;
pub use model::{Condition, UNet};
pub(crate) use resnet::{Resnet, ResnetShape};
