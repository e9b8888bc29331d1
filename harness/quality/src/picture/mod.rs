//! Pictures: the metrics on them, and their judge.

pub mod clip;
mod cosine;
mod judge;
pub mod lpips;
mod metric_functions;
mod pixelwise;
mod prepared;
pub mod resample;
pub mod views;

pub use cosine::cosine;
pub use judge::PictureJudge;
pub use pixelwise::{PerceptualHash, psnr, ssim_gray};
