//! Metrics that need nothing but the pixels.

mod hash;
mod latent;
mod ms_ssim;
mod psnr;
mod simd;
mod ssim;
mod ssim_gaussian;

pub use hash::{PerceptualHash, phash_distance};
pub use latent::cosine;
pub use ms_ssim::{ms_ssim_color, ms_ssim_gray};
pub use psnr::psnr;
pub use ssim::{ssim_color, ssim_gray};
pub use ssim_gaussian::{Covariance, ssim_gaussian_gray};
