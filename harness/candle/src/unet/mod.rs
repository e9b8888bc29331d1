//! SDXL's denoiser: diffusers' `UNet2DConditionModel` with added text and time conditioning.
mod blocks;
mod config;
mod embedding;
mod frequencies;
mod ldm;
mod lora;
mod model;
mod replacement;
mod resnet;
mod transformer;

pub use config::UNetConfig;
pub use model::{Condition, UNet};
pub(crate) use replacement::Replacement;
pub use replacement::unet_folder;
pub(crate) use resnet::{Resnet, ResnetShape};
