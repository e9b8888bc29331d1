//! diffusers' `UniPCMultistepScheduler` (Zhao et al. 2023): each step predicts the next sample from the last answers, and
//! the next answer corrects it.

use std::collections::VecDeque;

use candle_core::Tensor;

use super::config::{Prediction, ScheduleConfig, UniPcConfig};
use super::dpm::{Ends, LastSigma, Ratios};
use super::noise::Noise;
use super::predict::sum;
use super::sigmas::Level;
use super::solver::Solver;
use crate::error::Result;

/// One picture's way by UniPC.
pub(super) struct UniPc {
    ratios: Ratios,
    config: UniPcConfig,
    prediction: Prediction,
    /// Pictures, or noises, that the model told of, the newest first.
    answers: VecDeque<Tensor>,
    /// The sample that the last step began with, and its order.
    begun: Option<(Tensor, usize)>,
}

impl UniPc {
    pub(super) fn new(c: &ScheduleConfig, unipc: UniPcConfig, steps: usize) -> Self {
        let last_sigma = if unipc.last_sigma_min { LastSigma::Again } else { LastSigma::Zero };
        let ratios = Ratios::new(c, Ends { last: c.train_steps, rounded: true, last_sigma }, steps);
        Self { ratios, config: unipc, prediction: c.prediction, answers: VecDeque::new(), begun: None }
    }

    /// The sample at level `from + 1` from that at level `from`: its exact part, and `order` differences of answers, of
    /// which the last is that to `corrected`, the answer at the level where the step ends.
    fn update(
        &self,
        from: usize,
        order: usize,
        sample: &Tensor,
        corrected: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (s, t) = (self.ratios.levels[from], self.ratios.levels[from + 1]);
        let h = f64::from(t.lambda - s.lambda);
        let (hh, kept, weight) = match self.config.predicts_picture {
            true => (-h, t.sigma / s.sigma, t.alpha),
            false => (h, t.alpha / s.alpha, t.sigma),
        };
        let phi1 = hh.exp_m1();
        let scale = if self.config.bh1 { hh } else { phi1 };
        // where the answers lie, in λ of this step from its beginning
        let mut ratios: Vec<f64> =
            (1..order).map(|k| f64::from(self.ratios.levels[from - k].lambda - s.lambda) / h).collect();
        ratios.push(1.0);
        let factors = match (corrected, order) {
            (Some(_), 1) => vec![0.5],
            (None, 1) => vec![],
            (None, 2) => vec![0.5],
            (None, _) => factors(&ratios[..order - 1], hh, phi1, scale),
            (Some(_), _) => factors(&ratios, hh, phi1, scale),
        };
        let mut of_newest = phi1;
        let mut terms: Vec<(f32, &Tensor)> = vec![(kept, sample)];
        for (k, factor) in factors.iter().enumerate() {
            let (divisor, answer) = match corrected {
                Some(corrected) if k + 1 == order => (1.0, corrected),
                _ => (ratios[k], &self.answers[k + 1]),
            };
            let share = scale * factor / divisor;
            of_newest -= share;
            terms.push((-weight * share as f32, answer));
        }
        terms.push((-weight * of_newest as f32, &self.answers[0]));
        sum(&terms)
    }
}

/// Weights of the differences: those with which powers of λ are integrated exactly.
fn factors(ratios: &[f64], hh: f64, phi1: f64, scale: f64) -> Vec<f64> {
    let n = ratios.len();
    let (mut phi, mut factorial) = (phi1 / hh - 1.0, 1.0);
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    for i in 0..n {
        let mut row: Vec<f64> = ratios.iter().map(|r| r.powi(i as i32)).collect();
        row.push(phi * factorial / scale);
        rows.push(row);
        factorial *= (i + 2) as f64;
        phi = phi / hh - 1.0 / factorial;
    }
    solve(rows)
}

/// Solves a small system, whose rows end in their right-hand side, by elimination with pivots.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| rows[*a][i].abs().total_cmp(&rows[*b][i].abs())).unwrap_or(i);
        rows.swap(i, pivot);
        let head = rows[i].clone();
        for (j, row) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = row[i] / head[i];
                row.iter_mut().zip(&head).for_each(|(x, h)| *x -= factor * h);
            }
        }
    }
    rows.iter().enumerate().map(|(i, row)| row[n] / row[i]).collect()
}

impl Solver for UniPc {
    fn times(&self) -> &[f32] {
        &self.ratios.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, _: &mut Noise) -> Result<Tensor> {
        let Level { alpha, sigma, .. } = self.ratios.levels[i];
        let answer = match self.config.predicts_picture {
            true => self.prediction.picture(alpha, sigma, output, sample)?,
            false => self.prediction.noise(alpha, sigma, output, sample)?,
        };
        let sample = match self.begun.take() {
            Some((begun, order)) if i > 0 && !self.config.uncorrected.contains(&(i - 1)) => {
                self.update(i - 1, order, &begun, Some(&answer))?
            }
            _ => sample.clone(),
        };
        self.answers.push_front(answer);
        self.answers.truncate(self.config.order);
        let left = self.ratios.times.len() - i;
        let most =
            if self.config.lower_order_final { self.config.order.min(left) } else { self.config.order };
        let order = most.min(i + 1);
        let next = self.update(i, order, &sample, None)?;
        self.begun = Some((sample, order));
        Ok(next)
    }
}
