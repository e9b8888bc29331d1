//! Metrics that need nothing but the pixels.

mod hash;
mod psnr;
mod simd;
mod ssim;

pub use hash::{PerceptualHash, phash_distance};
pub use psnr::psnr;
pub use ssim::ssim_gray;
