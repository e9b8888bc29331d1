//! Peak signal-to-noise ratio, as scikit-image's `peak_signal_noise_ratio`.

use edgemaxx_picture::Picture;
use rayon::prelude::*;

use super::same_size;
use super::simd::widest;
use crate::error::Result;

const CHUNK: usize = 1 << 16;

/// `10 log10(255² / MSE)` over all RGB values, decibels; the squared error is an exact integer.
/// Identical pictures have no finite value: `None`.
///
/// # Errors
/// When the sizes differ.
pub fn psnr(a: &Picture, b: &Picture) -> Result<Option<f64>> {
    same_size(a, b)?;
    let error: u64 = a
        .rgb()
        .par_chunks(CHUNK)
        .zip(b.rgb().par_chunks(CHUNK))
        .map(|(a, b)| u64::from(squared_error(a, b)))
        .sum();
    if error == 0 {
        return Ok(None);
    }
    let mse = error as f64 / a.rgb().len() as f64;
    Ok(Some(10.0 * (255.0 * 255.0 / mse).log10()))
}

widest! {
    /// Sum of squared differences of at most 2^16 bytes: below 2^32.
    fn squared_error(a: &[u8], b: &[u8]) -> u32 = squared_error_body
}

#[inline(always)]
fn squared_error_body(a: &[u8], b: &[u8]) -> u32 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| {
            let d = i32::from(x) - i32::from(y);
            (d * d) as u32
        })
        .sum()
}
