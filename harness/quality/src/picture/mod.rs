//! Pictures: decoding, the metrics on them, and their judge.

pub mod clip;
mod cosine;
mod jpeg;
mod judge;
pub mod lpips;
mod metrics;
mod pixels;
mod pixelwise;
mod prepared;
pub mod resample;
pub mod views;

pub use cosine::cosine;
pub use judge::{PictureJudge, open, read};
pub use pixels::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Picture, Plane};
pub use pixelwise::{PerceptualHash, phash_distance, psnr, ssim_gray};
