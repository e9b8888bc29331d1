//! diffusers' `LCMScheduler` and `TCDScheduler`: solvers of models distilled to tell the picture, or any later time's
//! sample, in one call.

use candle_core::Tensor;

use super::alphas::Alphas;
use super::config::{Clipping, ConsistencyConfig, Prediction, ScheduleConfig};
use super::noise::Noise;
use super::predict::{clipped, sum};
use super::solver::Solver;
use crate::error::{Error, Result};

/// Standard deviation of the data in the boundary condition (Luo et al. 2023).
const DATA: f32 = 0.5;

/// Times of one picture: `steps` of the times that the model was distilled at, from the last.
fn times(c: &ScheduleConfig, original: usize, steps: usize) -> Result<Vec<f32>> {
    if original == 0 || original > c.train_steps || steps > original {
        return Err(Error::Request {
            field: "steps",
            found: format!("{steps}, with original_inference_steps {original}"),
            expected: format!("at most original_inference_steps, which is 1 to {}", c.train_steps),
        });
    }
    let stride = c.train_steps / original;
    // `numpy.linspace(0, original, steps, endpoint=False)`, rounded down
    let index = |i: usize| (i as f64 * (original as f64 / steps as f64)).floor() as usize;
    Ok((0..steps).map(|i| ((original - index(i)) * stride - 1) as f32).collect())
}

/// One picture's way by a latent consistency model.
pub(super) struct Lcm {
    alphas: Alphas,
    prediction: Prediction,
    clip: Option<f64>,
    scaling: f64,
}

impl Lcm {
    pub(super) fn new(c: &ScheduleConfig, lcm: ConsistencyConfig, steps: usize) -> Result<Self> {
        let times = times(c, lcm.original_steps, steps)?;
        let clipping = Clipping { last_alpha_one: true, clip: lcm.clip };
        let alphas = Alphas::new(c, clipping, &times, |i| times.get(i + 1).map(|t| *t as usize))?;
        Ok(Self { alphas, prediction: c.prediction, clip: lcm.clip, scaling: lcm.scaling })
    }
}

impl Solver for Lcm {
    fn times(&self) -> &[f32] {
        &self.alphas.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let (now, next) = self.alphas.pairs[i];
        let picture = self.prediction.picture(now.sqrt(), (1.0 - now).sqrt(), output, sample)?;
        let picture = clipped(picture, self.clip)?;
        let t = (f64::from(self.alphas.times[i]) * self.scaling) as f32;
        let norm = t * t + DATA * DATA;
        let denoised = sum(&[(t / norm.sqrt(), &picture), (DATA * DATA / norm, sample)])?;
        if i + 1 == self.alphas.times.len() {
            return Ok(denoised);
        }
        sum(&[(next.sqrt(), &denoised), ((1.0 - next).sqrt(), &noise.draw(sample)?)])
    }
}

/// One picture's way by trajectory consistency with η = 0, as diffusers' pipeline asks for.
pub(super) struct Tcd {
    alphas: Alphas,
    prediction: Prediction,
}

impl Tcd {
    pub(super) fn new(c: &ScheduleConfig, tcd: ConsistencyConfig, steps: usize) -> Result<Self> {
        let times = times(c, tcd.original_steps, steps)?;
        let clipping = Clipping { last_alpha_one: false, clip: None };
        let alphas = Alphas::new(c, clipping, &times, |i| times.get(i + 1).map(|t| *t as usize))?;
        Ok(Self { alphas, prediction: c.prediction })
    }
}

impl Solver for Tcd {
    fn times(&self) -> &[f32] {
        &self.alphas.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let (now, next) = self.alphas.pairs[i];
        let (alpha, sigma) = (now.sqrt(), (1.0 - now).sqrt());
        let picture = self.prediction.picture(alpha, sigma, output, sample)?;
        let noise = self.prediction.noise(alpha, sigma, output, sample)?;
        sum(&[(next.sqrt(), &picture), ((1.0 - next).sqrt(), &noise)])
    }
}
