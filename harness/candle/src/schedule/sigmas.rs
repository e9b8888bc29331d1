//! Noise levels: σ is the noise's standard deviation beside a picture of which all is left.

use statrs::distribution::{Beta, ContinuousCDF};

use super::config::{ScheduleConfig, Spread};

/// Both parameters of the distribution whose quantiles beta sigmas are (Lee et al. 2024).
const SHAPE: f64 = 0.6;

/// Exponent of Karras et al. (2022), equation 5.
const RHO: f64 = 7.0;

/// The level of every time of the training schedule, from the least noisy.
pub(super) fn training(c: &ScheduleConfig) -> Vec<f32> {
    c.alphas.iter().map(|a| ((1.0 - a) / a).sqrt()).collect()
}

/// The levels at the given times, in between by linear interpolation (`numpy.interp`).
pub(super) fn at(training: &[f32], times: &[f32]) -> Vec<f64> {
    times.iter().map(|&t| interpolate(training, f64::from(t))).collect()
}

/// Levels spread anew between `largest` and `smallest`, or as they are where they lie at the times.
pub(super) fn respread(spread: Spread, (largest, smallest): (f64, f64), steps: usize) -> Option<Vec<f64>> {
    // `numpy.linspace(0, 1, steps)`: a single value is its start
    let ramp = (0..steps).map(|i| i as f64 / (steps as f64 - 1.0).max(1.0));
    Some(match spread {
        Spread::AtTimes => return None,
        Spread::Karras => {
            let (high, low) = (largest.powf(1.0 / RHO), smallest.powf(1.0 / RHO));
            ramp.map(|r| (high + r * (low - high)).powf(RHO)).collect()
        }
        Spread::Exponential => {
            let (high, low) = (largest.ln(), smallest.ln());
            ramp.map(|r| (high + r * (low - high)).exp()).collect()
        }
        Spread::Beta => {
            let beta = Beta::new(SHAPE, SHAPE).ok()?;
            ramp.map(|r| smallest + beta.inverse_cdf(1.0 - r) * (largest - smallest)).collect()
        }
    })
}

/// The time of a level, possibly between two: its logarithm is interpolated in those of the training schedule.
pub(super) fn time_of(sigma: f64, training: &[f32]) -> f64 {
    let log = |i: usize| f64::from(training[i].ln());
    let wanted = sigma.max(1e-10).ln();
    let below = (0..training.len()).rev().find(|&i| wanted >= log(i)).unwrap_or(0);
    let low = below.min(training.len().saturating_sub(2));
    let Some(high) = (low + 1 < training.len()).then_some(low + 1) else { return low as f64 };
    let w = ((log(low) - wanted) / (log(low) - log(high))).clamp(0.0, 1.0);
    (1.0 - w) * low as f64 + w * high as f64
}

/// How much of the picture and of the noise is left at a level where both together have variance 1; their logarithms'
/// difference is half the logarithm of the signal-to-noise ratio, λ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) alpha: f32,
    pub(super) sigma: f32,
    pub(super) lambda: f32,
}

impl Level {
    pub(super) fn new(sigma: f32) -> Self {
        let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
        let sigma = sigma * alpha;
        Self { alpha, sigma, lambda: alpha.ln() - sigma.ln() }
    }
}

/// Linear interpolation at a fractional index, constant beyond the ends.
fn interpolate(values: &[f32], at: f64) -> f64 {
    let last = values.len() - 1;
    if at <= 0.0 {
        return f64::from(values[0]);
    }
    if at >= last as f64 {
        return f64::from(values[last]);
    }
    let i = at as usize;
    let (a, b) = (f64::from(values[i]), f64::from(values[i + 1]));
    a + (b - a) * (at - i as f64)
}
