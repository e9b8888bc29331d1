//! diffusers' `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler`: one Euler step of the probability-flow
//! equation per model call, and the same with noise put back after each.

use candle_core::Tensor;

use super::config::{EulerConfig, Prediction, ScheduleConfig, Spacing};
use super::noise::Noise;
use super::predict::sum;
use super::sigmas;
use super::solver::Solver;
use super::times::times;
use crate::error::Result;

/// Times and noise levels of one picture, for solvers whose sample is the picture and σ times noise.
pub(super) struct Levels {
    pub(super) times: Vec<f32>,
    /// One per step, and the final one.
    pub(super) sigmas: Vec<f32>,
    pub(super) initial_scale: f32,
}

impl Levels {
    pub(super) fn new(c: &ScheduleConfig, steps: usize, last_sigma_min: bool) -> Self {
        let training = sigmas::training(c);
        let mut times = times(c.spacing, c.train_steps, c.offset, steps, false);
        let mut levels = sigmas::at(&training, &times);
        let largest = c.sigma_max.unwrap_or_else(|| levels.first().copied().unwrap_or_default());
        let smallest = c.sigma_min.unwrap_or_else(|| levels.last().copied().unwrap_or_default());
        if let Some(spread) = sigmas::respread(c.spread, (largest, smallest), times.len()) {
            times = spread.iter().map(|&s| sigmas::time_of(s, &training) as f32).collect();
            levels = spread;
        }
        let mut sigmas: Vec<f32> = levels.into_iter().map(|s| s as f32).collect();
        sigmas.push(if last_sigma_min { training[0] } else { 0.0 });
        let largest = sigmas.iter().copied().fold(0f32, f32::max);
        let initial_scale = match c.spacing {
            Spacing::Leading => (largest * largest + 1.0).sqrt(),
            Spacing::Linspace | Spacing::Trailing => largest,
        };
        Self { times, sigmas, initial_scale }
    }
}

/// A sample scaled to variance 1.
pub(super) fn scaled(sample: &Tensor, sigma: f32) -> Result<Tensor> {
    Ok((sample / f64::from((sigma * sigma + 1.0).sqrt()))?)
}

/// One picture's way by Euler steps.
pub(super) struct Euler {
    levels: Levels,
    ancestral: bool,
    prediction: Prediction,
}

impl Euler {
    pub(super) fn new(c: &ScheduleConfig, euler: EulerConfig, steps: usize) -> Self {
        let levels = Levels::new(c, steps, euler.last_sigma_min);
        Self { levels, ancestral: euler.ancestral, prediction: c.prediction }
    }
}

impl Solver for Euler {
    fn times(&self) -> &[f32] {
        &self.levels.times
    }

    fn initial_scale(&self) -> f32 {
        self.levels.initial_scale
    }

    fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        scaled(sample, self.levels.sigmas[i])
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let (s, next) = (self.levels.sigmas[i], self.levels.sigmas[i + 1]);
        let picture = self.prediction.picture_beside(s, output, sample)?;
        let slope = ((sample - picture)? / f64::from(s))?;
        if !self.ancestral {
            return sum(&[(1.0, sample), (next - s, &slope)]);
        }
        let up = (next * next * (s * s - next * next) / (s * s)).sqrt();
        let down = (next * next - up * up).sqrt();
        sum(&[(1.0, sample), (down - s, &slope), (up, &noise.draw(sample)?)])
    }
}
