//! Metrics that need nothing but the pixels.

mod hash;
mod psnr;
mod simd;
mod ssim;

use edgemaxx_picture::Picture;

use crate::error::{QualityError, Result};

pub use hash::PerceptualHash;
pub use psnr::psnr;
pub use ssim::ssim_gray;

/// Refuses a pair that cannot be compared pixel by pixel.
pub(super) fn same_size(a: &Picture, b: &Picture) -> Result<()> {
    let (a, b) = ((a.width(), a.height()), (b.width(), b.height()));
    if a == b { Ok(()) } else { Err(QualityError::UnequalSizes { a, b }) }
}
