//! diffusers' `DPMSolverSDEScheduler`, DPM++ SDE of k-diffusion: each step but the last takes a second model call at its
//! middle, and both put back noise of one Brownian motion over the noise levels.

use candle_core::Tensor;

use super::config::{Prediction, ScheduleConfig};
use super::euler::{Levels, scaled};
use super::noise::Noise;
use super::predict::sum;
use super::sigmas;
use super::solver::Solver;
use crate::error::Result;

/// One picture's way: calls 0, 2, 4 … are at a step's beginning, the others at its middle.
pub(super) struct Sde {
    /// Per call.
    times: Vec<f32>,
    /// Per step, and the final one.
    sigmas: Vec<f32>,
    initial_scale: f32,
    prediction: Prediction,
    /// Seed of the motion, where the checkpoint names one.
    seed: Option<u64>,
    /// The sample at the beginning of the step under way.
    begun: Option<Tensor>,
}

impl Sde {
    pub(super) fn new(c: &ScheduleConfig, seed: Option<u64>, steps: usize) -> Self {
        let Levels { times: starts, sigmas, initial_scale } = Levels::new(c, steps, false);
        let training = sigmas::training(c);
        let mut times = Vec::with_capacity(2 * starts.len());
        for (time, ends) in starts.iter().zip(sigmas.windows(2)) {
            times.push(*time);
            if ends[1] > 0.0 {
                let middle = (f64::from(ends[0]).ln() + f64::from(ends[1]).ln()) / 2.0;
                times.push(sigmas::time_of(middle.exp(), &training) as f32);
            }
        }
        Self { times, sigmas, initial_scale, prediction: c.prediction, seed, begun: None }
    }

    /// The levels at the beginning, the middle and the end of the step of call `i`; all in single precision and by way of
    /// logarithms, as there, since the motion is asked for them to the sixth digit.
    fn levels(&self, i: usize) -> (f32, f32, f32) {
        let (from, to) = (-self.sigmas[i / 2].ln(), -self.sigmas[i / 2 + 1].ln());
        ((-from).exp(), (-(from + (to - from) * 0.5)).exp(), (-to).exp())
    }
}

impl Solver for Sde {
    fn times(&self) -> &[f32] {
        &self.times
    }

    fn initial_scale(&self) -> f32 {
        self.initial_scale
    }

    fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        let sigma = if i.is_multiple_of(2) { self.sigmas[i / 2] } else { self.levels(i).1 };
        scaled(sample, sigma)
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let here = self.sigmas[i / 2];
        let (from, middle, end) = self.levels(i);
        let at = if i.is_multiple_of(2) { here } else { middle };
        let picture = self.prediction.picture_beside(at, output, sample)?;
        if self.sigmas[i / 2 + 1] == 0.0 {
            let slope = ((sample - picture)? / f64::from(here))?;
            return sum(&[(1.0, sample), (-here, &slope)]);
        }
        let (start, to) = match self.begun.take() {
            Some(start) => (start, end),
            None => {
                self.begun = Some(sample.clone());
                (sample.clone(), middle)
            }
        };
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt().min(to);
        let down = (to * to - up * up).sqrt();
        let kept = (-(-down.ln())).exp() / from;
        let least = self.sigmas.iter().copied().filter(|s| *s > 0.0).fold(f32::INFINITY, f32::min);
        let most = self.sigmas.iter().copied().fold(0f32, f32::max);
        let added = noise.between((least, most), self.seed, (to, from), sample)?;
        sum(&[(kept, &start), (-(down.ln() - from.ln()).exp_m1(), &picture), (up, &added)])
    }
}
