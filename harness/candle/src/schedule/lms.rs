//! diffusers' `LMSDiscreteScheduler`: the slope between two levels is the polynomial through the last four slopes
//! (Adams–Bashforth for uneven steps).

use std::collections::VecDeque;

use candle_core::Tensor;

use super::config::{Prediction, ScheduleConfig};
use super::euler::{Levels, scaled};
use super::noise::Noise;
use super::predict::sum;
use super::solver::Solver;
use crate::error::Result;

/// Slopes that the polynomial goes through, at most.
const ORDER: usize = 4;

/// One picture's way by linear multistep.
pub(super) struct Lms {
    levels: Levels,
    prediction: Prediction,
    /// The newest first.
    slopes: VecDeque<Tensor>,
}

impl Lms {
    pub(super) fn new(c: &ScheduleConfig, steps: usize) -> Self {
        Self { levels: Levels::new(c, steps, false), prediction: c.prediction, slopes: VecDeque::new() }
    }

    /// The integral from level `i` to the next of the polynomial that is 1 at the `k`-th level back and 0 at the other
    /// `order − 1`. Gauss–Legendre's two points are exact up to the third degree.
    fn coefficient(&self, i: usize, k: usize, order: usize) -> f32 {
        let sigma = |back: usize| f64::from(self.levels.sigmas[i - back]);
        let (from, to) = (sigma(0), f64::from(self.levels.sigmas[i + 1]));
        let (middle, half) = ((from + to) / 2.0, (to - from) / 2.0);
        let value = |at: f64| -> f64 {
            (0..order).filter(|j| *j != k).map(|j| (at - sigma(j)) / (sigma(k) - sigma(j))).product()
        };
        let point = half / 3f64.sqrt();
        (half * (value(middle - point) + value(middle + point))) as f32
    }
}

impl Solver for Lms {
    fn times(&self) -> &[f32] {
        &self.levels.times
    }

    fn initial_scale(&self) -> f32 {
        self.levels.initial_scale
    }

    fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        scaled(sample, self.levels.sigmas[i])
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let sigma = self.levels.sigmas[i];
        let picture = self.prediction.picture_beside(sigma, output, sample)?;
        self.slopes.push_front(((sample - picture)? / f64::from(sigma))?);
        self.slopes.truncate(ORDER);
        let order = self.slopes.len();
        let factors: Vec<f32> = (0..order).map(|k| self.coefficient(i, k, order)).collect();
        let slopes = factors.into_iter().zip(&self.slopes);
        let terms: Vec<(f32, &Tensor)> = std::iter::once((1.0, sample)).chain(slopes).collect();
        sum(&terms)
    }
}
