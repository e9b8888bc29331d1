//! diffusers' `EulerDiscreteScheduler`: one Euler step of the probability-flow equation per model call.
use super::config::{Prediction, ScheduleConfig, Spacing};
use crate::error::Result;
use candle_core::Tensor;

/// Times and noise levels of one picture.
pub struct Euler {
    pub(super) times: Vec<f32>,
    /// One per step, and the final one.
    sigmas: Vec<f32>,
    pub(super) initial_scale: f32,
    prediction: Prediction,
}

impl Euler {
    pub(super) fn new(c: &ScheduleConfig, steps: usize) -> Self {
        let times = times(c, steps);
        let training: Vec<f32> = c.alphas.iter().map(|a| ((1.0 - a) / a).sqrt()).collect();
        let mut sigmas: Vec<f32> =
            times.iter().map(|&t| interpolate(&training, f64::from(t)) as f32).collect();
        sigmas.push(if c.last_sigma_min { training[0] } else { 0.0 });
        let largest = sigmas.iter().copied().fold(0f32, f32::max);
        let initial_scale = match c.spacing {
            Spacing::Leading => (largest * largest + 1.0).sqrt(),
            Spacing::Linspace | Spacing::Trailing => largest,
        };
        Self { times, sigmas, initial_scale, prediction: c.prediction }
    }

    pub(super) fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        let s = self.sigmas[i];
        Ok((sample / f64::from((s * s + 1.0).sqrt()))?)
    }

    pub(super) fn step(&self, output: &Tensor, i: usize, sample: &Tensor) -> Result<Tensor> {
        let (s, next) = (self.sigmas[i], self.sigmas[i + 1]);
        let f = f64::from;
        let picture = match self.prediction {
            Prediction::Epsilon => (sample - (output * f(s))?)?,
            Prediction::Velocity => {
                let norm = s * s + 1.0;
                ((output * f(-s / norm.sqrt()))? + (sample / f(norm))?)?
            }
            Prediction::Sample => output.clone(),
        };
        let slope = ((sample - picture)? / f(s))?;
        Ok((sample + (slope * f(next - s))?)?)
    }
}

/// NumPy's rounding: halves to even.
fn times(c: &ScheduleConfig, steps: usize) -> Vec<f32> {
    let (total, n) = (c.train_steps as f64, steps as f64);
    match c.spacing {
        Spacing::Linspace => {
            let stride = (total - 1.0) / (n - 1.0).max(1.0);
            // a single step of NumPy's linspace is its start
            (0..steps)
                .rev()
                .map(|i| {
                    if i + 1 == steps && steps > 1 {
                        (total - 1.0) as f32
                    } else {
                        (i as f64 * stride) as f32
                    }
                })
                .collect()
        }
        Spacing::Leading => {
            let stride = c.train_steps / steps;
            (0..steps).rev().map(|i| (i * stride + c.offset) as f32).collect()
        }
        Spacing::Trailing => {
            let stride = total / n;
            let count = (total / stride).ceil() as usize;
            (0..count).map(|i| (total - i as f64 * stride).round_ties_even() as f32 - 1.0).collect()
        }
    }
}

/// Linear interpolation at a fractional index, constant beyond the ends (`numpy.interp` on 0, 1, 2 …).
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
