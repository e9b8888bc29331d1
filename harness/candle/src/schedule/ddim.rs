//! diffusers' `DDIMScheduler` with η = 0, as its pipeline asks for, and `DDPMScheduler`: what noise DDIM keeps, DDPM draws
//! anew.

use candle_core::Tensor;

use super::alphas::Alphas;
use super::config::{Clipping, DdpmConfig, ScheduleConfig, Variance};
use super::noise::Noise;
use super::predict::sum;
use super::solver::Solver;
use super::times::{distilled_times, times};
use crate::error::Result;

/// One picture's way by DDIM.
pub(super) struct Ddim {
    alphas: Alphas,
}

impl Ddim {
    pub(super) fn new(c: &ScheduleConfig, clipping: Clipping, steps: usize) -> Result<Self> {
        let stride = c.train_steps / steps;
        let times = times(c.spacing, c.train_steps, c.offset, steps, true);
        let alphas = Alphas::new(c, clipping, &times, |i| (times[i] as usize).checked_sub(stride))?;
        Ok(Self { alphas })
    }

    /// diffusers' `TCDScheduler` with η = 0, as its pipeline asks for: the same steps, over the times that a trajectory
    /// consistency model was distilled at, and as noisy at the end as time 0.
    pub(super) fn of_distilled(c: &ScheduleConfig, original_steps: usize, steps: usize) -> Result<Self> {
        let times = distilled_times(c, original_steps, steps)?;
        let clipping = Clipping { last_alpha_one: false, clip: None };
        let alphas = Alphas::in_turn(c, clipping, &times)?;
        Ok(Self { alphas })
    }
}

impl Solver for Ddim {
    fn times(&self) -> &[f32] {
        &self.alphas.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let (now, next) = self.alphas.pairs[i];
        let picture = self.alphas.picture(i, output, sample)?;
        let noise = self.alphas.prediction.noise(now.sqrt(), (1.0 - now).sqrt(), output, sample)?;
        sum(&[(next.sqrt(), &picture), ((1.0 - next).sqrt(), &noise)])
    }
}

/// One picture's way by DDPM.
pub(super) struct Ddpm {
    alphas: Alphas,
    variance: Variance,
}

impl Ddpm {
    pub(super) fn new(c: &ScheduleConfig, ddpm: DdpmConfig, steps: usize) -> Result<Self> {
        let times = times(c.spacing, c.train_steps, c.offset, steps, true);
        let clipping = Clipping { last_alpha_one: true, clip: ddpm.clip };
        let alphas = Alphas::in_turn(c, clipping, &times)?;
        Ok(Self { alphas, variance: ddpm.variance })
    }
}

impl Solver for Ddpm {
    fn times(&self) -> &[f32] {
        &self.alphas.times
    }

    /// Ho et al. (2020), equations 6 and 7.
    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let (now, next) = self.alphas.pairs[i];
        let picture = self.alphas.picture(i, output, sample)?;
        let alpha = now / next;
        let beta = 1.0 - alpha;
        let (of_picture, of_sample) =
            (next.sqrt() * beta / (1.0 - now), alpha.sqrt() * (1.0 - next) / (1.0 - now));
        let mean = sum(&[(of_picture, &picture), (of_sample, sample)])?;
        if self.alphas.times[i] == 0.0 {
            return Ok(mean);
        }
        let variance = match self.variance {
            Variance::Small => ((1.0 - next) / (1.0 - now) * beta).max(1e-20),
            Variance::Large => beta,
        };
        sum(&[(1.0, &mean), (variance.sqrt(), &noise.draw(sample)?)])
    }
}
