//! diffusers' `HeunDiscreteScheduler`: each Euler step but the last is corrected by the slope at its end, which takes a
//! second model call.

use candle_core::Tensor;

use super::config::{HeunConfig, Prediction, ScheduleConfig};
use super::euler::{Levels, scaled};
use super::noise::Noise;
use super::predict::{clipped, sum};
use super::solver::Solver;
use crate::error::Result;

/// One picture's way by Heun steps: calls 0, 2, 4 … are at a step's beginning, the others at its end.
pub(super) struct Heun {
    /// Per call.
    times: Vec<f32>,
    /// Per call, and the final one.
    sigmas: Vec<f32>,
    initial_scale: f32,
    prediction: Prediction,
    clip: Option<f64>,
    /// Slope and sample at the beginning of the step under way.
    begun: Option<(Tensor, Tensor)>,
}

impl Heun {
    pub(super) fn new(c: &ScheduleConfig, heun: HeunConfig, steps: usize) -> Self {
        let Levels { times, sigmas, initial_scale } = Levels::new(c, steps, false);
        let twice = |values: &[f32]| -> Vec<f32> { values.iter().flat_map(|v| [*v, *v]).collect() };
        let calls = 2 * times.len() - 1;
        Self {
            times: twice(&times)[1..].to_vec(),
            sigmas: twice(&sigmas)[1..=calls + 1].to_vec(),
            initial_scale,
            prediction: c.prediction,
            clip: heun.clip,
            begun: None,
        }
    }
}

impl Solver for Heun {
    fn times(&self) -> &[f32] {
        &self.times
    }

    fn initial_scale(&self) -> f32 {
        self.initial_scale
    }

    fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        scaled(sample, self.sigmas[i])
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let here = self.sigmas[i];
        let picture = clipped(self.prediction.picture_beside(here, output, sample)?, self.clip)?;
        let slope = ((sample - picture)? / f64::from(here))?;
        match self.begun.take() {
            None => {
                let next = sum(&[(1.0, sample), (self.sigmas[i + 1] - here, &slope)])?;
                self.begun = Some((slope, sample.clone()));
                Ok(next)
            }
            Some((first, begin)) => {
                let width = here - self.sigmas[i - 1];
                sum(&[(1.0, &begin), (width / 2.0, &first), (width / 2.0, &slope)])
            }
        }
    }
}
