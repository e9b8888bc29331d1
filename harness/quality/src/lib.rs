//! Judges picture pairs: SSIM, PSNR, perceptual hash, CLIP.

pub mod clip;
mod compare;
mod error;
mod jpeg;
mod judge;
pub mod lpips;
pub mod metric;
mod picture;
pub mod resample;
pub mod views;

pub use compare::{Comparison, compare, compare_files};
pub use error::{QualityError, Result};
pub use judge::{Judge, PictureFile, PicturePair, wombo_2025};
pub use picture::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Picture, Plane};
