//! SSIM under a Gaussian window of σ 1.5 cut at 3.5 σ (11×11), as scikit-image's
//! `structural_similarity(gaussian_weights=True, sigma=1.5)`; also the two means that MS-SSIM needs.

use rayon::prelude::*;

use super::simd::widest;
use crate::error::{QualityError, Result};
use crate::picture::{Picture, Plane};

const RADIUS: usize = 5;
pub(crate) const TAPS: usize = 2 * RADIUS + 1;
const SIGMA: f64 = 1.5;
const BAND: usize = 32;

/// Which variance the window yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covariance {
    /// Multiplied by N/(N−1), N = 121: scikit-image's default.
    Sample,
    /// As it is: the original paper (Wang et al. 2004) and MS-SSIM.
    Population,
}

/// A plane of f64 values, rows from the top.
pub(crate) struct FloatPlane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f64>,
}

impl From<&Plane> for FloatPlane {
    fn from(p: &Plane) -> Self {
        Self {
            width: p.width(),
            height: p.height(),
            values: p.values().iter().map(|&v| f64::from(v)).collect(),
        }
    }
}

/// Means over the valid part of the maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaussianMeans {
    /// Mean SSIM.
    pub(crate) ssim: f64,
    /// Mean of the contrast–structure factor alone.
    pub(crate) contrast: f64,
}

/// SSIM of the grey pictures under the Gaussian window, borders of five pixels cropped.
///
/// # Errors
/// When the sizes differ or a side is below 11 pixels.
pub fn ssim_gaussian_gray(a: &Picture, b: &Picture, covariance: Covariance) -> Result<f64> {
    a.same_size(b)?;
    if a.width().min(a.height()) < TAPS as u32 {
        return Err(QualityError::TooSmall {
            metric: "Gaussian SSIM",
            needed: TAPS as u32,
            width: a.width(),
            height: a.height(),
        });
    }
    Ok(gaussian_means(&(&a.grey()).into(), &(&b.grey()).into(), covariance).ssim)
}

/// Means of the SSIM maps of two planes of equal size, at least 11×11.
pub(crate) fn gaussian_means(a: &FloatPlane, b: &FloatPlane, c: Covariance) -> GaussianMeans {
    let weights = weights();
    let (rows, columns) = (a.height + 1 - TAPS, a.width + 1 - TAPS);
    let bands: Vec<[f64; 2]> = (0..rows.div_ceil(BAND))
        .into_par_iter()
        .map(|i| band(a, b, i * BAND, rows.min((i + 1) * BAND), &weights, c))
        .collect();
    let n = rows as f64 * columns as f64;
    let mean = |k: usize| bands.iter().map(|b| b[k]).sum::<f64>() / n;
    GaussianMeans { ssim: mean(0), contrast: mean(1) }
}

/// `exp(−x²/2σ²)`, normalised, as scipy's `gaussian_filter`.
fn weights() -> [f64; TAPS] {
    let mut w = [0.0; TAPS];
    for (i, v) in w.iter_mut().enumerate() {
        let x = i as f64 - RADIUS as f64;
        *v = (-0.5 / (SIGMA * SIGMA) * x * x).exp();
    }
    let sum: f64 = w.iter().sum();
    w.map(|v| v / sum)
}

widest! {
    /// Sums of both maps over output rows `from..to`.
    fn band(
        a: &FloatPlane, b: &FloatPlane, from: usize, to: usize, w: &[f64; TAPS], c: Covariance,
    ) -> [f64; 2] = band_body
}

#[inline(always)]
fn band_body(
    a: &FloatPlane,
    b: &FloatPlane,
    from: usize,
    to: usize,
    w: &[f64; TAPS],
    covariance: Covariance,
) -> [f64; 2] {
    let width = a.width;
    let columns = width + 1 - TAPS;
    let norm = match covariance {
        Covariance::Sample => 121.0 / 120.0,
        Covariance::Population => 1.0,
    };
    let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
    let mut tall: [Vec<f64>; 5] = std::array::from_fn(|_| vec![0.0; width]);
    let mut flat: [Vec<f64>; 5] = std::array::from_fn(|_| vec![0.0; columns]);
    let mut sums = [0.0; 2];
    for y in from..to {
        tall.iter_mut().for_each(|t| t.fill(0.0));
        for (k, &weight) in w.iter().enumerate() {
            let row = (y + k) * width..(y + k + 1) * width;
            let (x, z) = (&a.values[row.clone()], &b.values[row]);
            let [tx, tz, txx, tzz, txz] = &mut tall;
            for i in 0..width {
                let (p, q) = (x[i], z[i]);
                tx[i] += weight * p;
                tz[i] += weight * q;
                txx[i] += weight * (p * p);
                tzz[i] += weight * (q * q);
                txz[i] += weight * (p * q);
            }
        }
        for (t, f) in tall.iter().zip(&mut flat) {
            f.fill(0.0);
            for (k, &weight) in w.iter().enumerate() {
                for (out, &v) in f.iter_mut().zip(&t[k..]) {
                    *out += weight * v;
                }
            }
        }
        let [fx, fz, fxx, fzz, fxz] = &flat;
        for i in 0..columns {
            let (x, z) = (fx[i], fz[i]);
            let vx = norm * (fxx[i] - x * x);
            let vz = norm * (fzz[i] - z * z);
            let vxz = norm * (fxz[i] - x * z);
            let contrast = (2.0 * vxz + c2) / (vx + vz + c2);
            sums[0] += (2.0 * x * z + c1) / (x * x + z * z + c1) * contrast;
            sums[1] += contrast;
        }
    }
    sums
}
