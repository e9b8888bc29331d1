//! diffusers' `PNDMScheduler` without Runge–Kutta steps: the noise between two times is told from the last four answers
//! (Liu et al. 2022), and the first step is taken twice.

use std::collections::VecDeque;

use candle_core::Tensor;

use super::alphas;
use super::config::{Prediction, ScheduleConfig};
use super::noise::Noise;
use super::predict::sum;
use super::solver::Solver;
use super::times::times;
use crate::error::Result;

/// Factors of the newest answer and those before it, by how many there are.
const FACTORS: [&[f32]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// One picture's way by pseudo linear multistep.
pub(super) struct Pndm {
    times: Vec<f32>,
    /// ᾱ from which and to which each call steps.
    alphas: Vec<(f32, f32)>,
    prediction: Prediction,
    /// Answers, the newest first.
    answers: VecDeque<Tensor>,
    /// The sample that the first step is taken from, for its second time.
    first: Option<Tensor>,
}

impl Pndm {
    pub(super) fn new(c: &ScheduleConfig, last_alpha_one: bool, steps: usize) -> Result<Self> {
        let mut times = times(c.spacing, c.train_steps, c.offset, steps, true);
        let stride = c.train_steps / steps;
        if let Some(second) = times.get(1).copied() {
            times.insert(1, second);
        }
        let after_last = if last_alpha_one { 1.0 } else { c.alphas[0] };
        let alphas = times.iter().enumerate().map(|(i, &t)| {
            let t = t as usize;
            if i == 1 {
                return Ok((alphas::at(c, t + stride, steps)?, alphas::at(c, t, steps)?));
            }
            let next = t.checked_sub(stride).map_or(Ok(after_last), |next| alphas::at(c, next, steps))?;
            Ok((alphas::at(c, t, steps)?, next))
        });
        let alphas = alphas.collect::<Result<_>>()?;
        Ok(Self { alphas, times, prediction: c.prediction, answers: VecDeque::new(), first: None })
    }
}

impl Solver for Pndm {
    fn times(&self) -> &[f32] {
        &self.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let (now, next) = self.alphas[i];
        let (answer, sample) = match (i, self.first.take(), self.answers.front()) {
            // the first step again, by the mean of both answers
            (1, Some(first), Some(before)) => (sum(&[(0.5, output), (0.5, before)])?, first),
            _ => {
                self.answers.push_front(output.clone());
                self.answers.truncate(FACTORS.len());
                let factors = FACTORS[self.answers.len() - 1].iter().copied();
                let terms: Vec<(f32, &Tensor)> = factors.zip(&self.answers).collect();
                (sum(&terms)?, sample.clone())
            }
        };
        if i == 0 {
            self.first = Some(sample.clone());
        }
        let noise = self.prediction.noise(now.sqrt(), (1.0 - now).sqrt(), &answer, &sample)?;
        let divisor = now * (1.0 - next).sqrt() + (now * (1.0 - now) * next).sqrt();
        sum(&[((next / now).sqrt(), &sample), (-(next - now) / divisor, &noise)])
    }
}
