//! diffusers' `LCMScheduler`: the solver of models that were distilled to tell the picture in one call.

use candle_core::Tensor;

use super::alphas::Alphas;
use super::config::{Clipping, LcmConfig, ScheduleConfig};
use super::noise::Noise;
use super::predict::sum;
use super::solver::Solver;
use super::times::distilled_times;
use crate::error::Result;

/// Standard deviation of the data in the boundary condition (Luo et al. 2023).
const DATA: f32 = 0.5;

/// One picture's way by a latent consistency model.
pub(super) struct Lcm {
    alphas: Alphas,
    scaling: f64,
}

impl Lcm {
    pub(super) fn new(c: &ScheduleConfig, lcm: LcmConfig, steps: usize) -> Result<Self> {
        let times = distilled_times(c, lcm.original_steps, steps)?;
        let clipping = Clipping { last_alpha_one: true, clip: lcm.clip };
        let alphas = Alphas::in_turn(c, clipping, &times)?;
        Ok(Self { alphas, scaling: lcm.scaling })
    }
}

impl Solver for Lcm {
    fn times(&self) -> &[f32] {
        &self.alphas.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let (_, next) = self.alphas.pairs[i];
        let picture = self.alphas.picture(i, output, sample)?;
        let t = (f64::from(self.alphas.times[i]) * self.scaling) as f32;
        let norm = t * t + DATA * DATA;
        let denoised = sum(&[(t / norm.sqrt(), &picture), (DATA * DATA / norm, sample)])?;
        if i + 1 == self.alphas.times.len() {
            return Ok(denoised);
        }
        sum(&[(next.sqrt(), &denoised), ((1.0 - next).sqrt(), &noise.draw(sample)?)])
    }
}
