//! Multi-scale SSIM (Wang, Simoncelli, Bovik 2003): five scales, weights .0448 .2856 .3001 .2363
//! .1333, Gaussian window 11×11 of σ 1.5, population covariance, halving by 2×2 means.
//! Reference: PyPI `pytorch-msssim` 1.0.0, including its zero padding of odd sides before halving
//! and its clamping of negative factors to 0.

use super::ssim_gaussian::{Covariance, FloatPlane, TAPS, gaussian_means};
use crate::error::{QualityError, Result};
use crate::picture::{Picture, Plane};

const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// Least side: the window must still fit after four halvings.
const LEAST_SIDE: u32 = (TAPS as u32 - 1) * 16 + 1;

/// MS-SSIM of the grey pictures, 0 to 1.
///
/// # Errors
/// When the sizes differ or a side is below 161 pixels.
pub fn ms_ssim_gray(a: &Picture, b: &Picture) -> Result<f64> {
    check(a, b)?;
    Ok(ms_ssim_plane(&a.grey(), &b.grey()))
}

/// Mean of the MS-SSIM of the three channels, 0 to 1.
///
/// # Errors
/// As [`ms_ssim_gray`].
pub fn ms_ssim_color(a: &Picture, b: &Picture) -> Result<f64> {
    check(a, b)?;
    let (a, b) = (a.channels(), b.channels());
    Ok(a.iter().zip(&b).map(|(x, y)| ms_ssim_plane(x, y)).sum::<f64>() / 3.0)
}

fn check(a: &Picture, b: &Picture) -> Result<()> {
    a.same_size(b)?;
    if a.width().min(a.height()) < LEAST_SIDE {
        return Err(QualityError::TooSmall {
            metric: "MS-SSIM",
            needed: LEAST_SIDE,
            width: a.width(),
            height: a.height(),
        });
    }
    Ok(())
}

fn ms_ssim_plane(a: &Plane, b: &Plane) -> f64 {
    let (mut a, mut b) = (FloatPlane::from(a), FloatPlane::from(b));
    let mut product = 1.0;
    for (level, weight) in WEIGHTS.iter().enumerate() {
        let means = gaussian_means(&a, &b, Covariance::Population);
        let last = level + 1 == WEIGHTS.len();
        let factor = if last { means.ssim } else { means.contrast };
        product *= factor.max(0.0).powf(*weight);
        if !last {
            (a, b) = (halve(&a), halve(&b));
        }
    }
    product
}

/// 2×2 means; an odd side is first padded by one zero on either end, and the zeros count.
fn halve(p: &FloatPlane) -> FloatPlane {
    let (pad_x, pad_y) = (p.width % 2, p.height % 2);
    let (width, height) = ((p.width + 2 * pad_x) / 2, (p.height + 2 * pad_y) / 2);
    let at = |x: usize, y: usize| -> f64 {
        match (x.checked_sub(pad_x), y.checked_sub(pad_y)) {
            (Some(x), Some(y)) if x < p.width && y < p.height => p.values[y * p.width + x],
            _ => 0.0,
        }
    };
    let mut values = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (2 * x, 2 * y);
            values.push((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4.0);
        }
    }
    FloatPlane { width, height, values }
}
