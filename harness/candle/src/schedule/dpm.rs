//! diffusers' `DPMSolverMultistepScheduler` and `DPMSolverSinglestepScheduler`: DPM-Solver++ (Lu et al. 2022) of the first
//! three orders and its stochastic variant, in the logarithm of the signal-to-noise ratio.

use std::collections::VecDeque;

use candle_core::Tensor;

use super::config::{DpmConfig, Midway, Prediction, ScheduleConfig, Spread};
use super::noise::Noise;
use super::predict::sum;
use super::sigmas::{self, Level};
use super::solver::Solver;
use super::times::times_before_the_end;
use crate::error::{Error, Result};

/// Whole times and noise levels of one picture, for solvers whose sample has variance 1.
pub(super) struct Ratios {
    pub(super) times: Vec<f32>,
    /// One per step, and the final one.
    pub(super) levels: Vec<Level>,
}

/// How a solver of [`Ratios`] comes to its times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Number of training times that are used.
    pub(super) last: usize,
    /// Whether Karras' times are rounded instead of cut.
    pub(super) rounded: bool,
    /// The final level: that of the spread's last step, that of time 0, or none.
    pub(super) last_sigma: LastSigma,
}

/// The level after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastSigma {
    /// No noise.
    Zero,
    /// That of time 0.
    First,
    /// That of the last step, where levels are spread anew; else that of time 0.
    Again,
}

impl Ratios {
    pub(super) fn new(c: &ScheduleConfig, ends: Ends, steps: usize) -> Self {
        let training = sigmas::training(c);
        let mut times = times_before_the_end(c.spacing, c.train_steps, ends.last, c.offset, steps);
        let bounds = (
            c.sigma_max.unwrap_or_else(|| f64::from(training[training.len() - 1])),
            c.sigma_min.unwrap_or_else(|| f64::from(training[0])),
        );
        let mut last = training[0];
        let levels = match sigmas::respread(c.spread, bounds, steps) {
            None => sigmas::at(&training, &times),
            Some(spread) => {
                let rounded = ends.rounded && c.spread == Spread::Karras;
                let whole = |t: f64| if rounded { t.round_ties_even() } else { t.trunc() };
                times = spread.iter().map(|&s| whole(sigmas::time_of(s, &training)) as f32).collect();
                if ends.last_sigma == LastSigma::Again {
                    last = spread.last().map_or(last, |s| *s as f32);
                }
                spread
            }
        };
        let mut levels: Vec<Level> = levels.into_iter().map(|s| Level::new(s as f32)).collect();
        levels.push(Level::new(if ends.last_sigma == LastSigma::Zero { 0.0 } else { last }));
        Self { times, levels }
    }
}

/// One picture's way by DPM-Solver++.
pub(super) struct Dpm {
    ratios: Ratios,
    /// Per step.
    orders: Vec<usize>,
    config: DpmConfig,
    prediction: Prediction,
    /// Pictures that the model told of, the newest first.
    pictures: VecDeque<Tensor>,
    /// The sample that a step of several calls began with.
    begun: Option<Tensor>,
}

impl Dpm {
    pub(super) fn new(c: &ScheduleConfig, dpm: DpmConfig, steps: usize) -> Result<Self> {
        let lambda = |alpha: &f32| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
        // `torch.searchsorted` of the least λ that is allowed, from the noisiest
        let cut =
            c.alphas.iter().rev().take_while(|alpha| f64::from(lambda(alpha)) < dpm.least_lambda).count();
        let last = c.train_steps - cut;
        if last < 2 {
            return Err(Error::Request {
                field: "steps",
                found: format!("{steps}, where lambda_min_clipped leaves {last} of {} times", c.train_steps),
                expected: "a smaller lambda_min_clipped".to_string(),
            });
        }
        let last_sigma = if dpm.last_sigma_min { LastSigma::First } else { LastSigma::Zero };
        let ratios = Ratios::new(c, Ends { last, rounded: dpm.rounded, last_sigma }, steps);
        let count = ratios.times.len();
        let orders =
            if dpm.singlestep { singlestep_orders(dpm, count) } else { multistep_orders(dpm, count) };
        Ok(Self {
            ratios,
            orders,
            config: dpm,
            prediction: c.prediction,
            pictures: VecDeque::new(),
            begun: None,
        })
    }

    /// The sample at level `to` from that at level `from`, by a polynomial through the last `order` pictures.
    fn update(
        &self,
        from: usize,
        to: usize,
        order: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        let levels = &self.ratios.levels;
        let (s, t) = (levels[from], levels[to]);
        let h = t.lambda - s.lambda;
        // what is kept of the sample, and what the picture's polynomial weighs, by its degree
        let (h, kept) = match noise {
            None => (h, t.sigma / s.sigma),
            Some(_) => (2.0 * h, t.sigma / s.sigma * (-h).exp()),
        };
        let phi1 = -(-h).exp_m1();
        let phi2 = 1.0 - phi1 / h;
        // The stochastic one's sign of the half is diffusers' own.
        let phi3 = if noise.is_some() { -0.5 } else { 0.5 } - phi2 / h;
        let half = match self.config.midway {
            Midway::Midpoint => 0.5 * phi1,
            Midway::Heun => phi2,
        };
        let picture = |back: usize| &self.pictures[back];
        let lambda = |back: usize| levels[to - 1 - back].lambda;
        let a = t.alpha;
        let mut terms: Vec<(f32, &Tensor)> = vec![(kept, sample)];
        // differences are taken in λ of the whole step, whose noise does not double it
        let whole = t.lambda - s.lambda;
        match (order, self.config.singlestep) {
            (1, _) => terms.push((a * phi1, picture(0))),
            (2, false) => {
                let r = (lambda(0) - lambda(1)) / whole;
                terms.extend([(a * (phi1 + half / r), picture(0)), (-a * half / r, picture(1))]);
            }
            (2, true) => {
                let r = (lambda(0) - lambda(1)) / whole;
                terms.extend([(a * half / r, picture(0)), (a * (phi1 - half / r), picture(1))]);
            }
            _ => {
                let (r0, r1) = ((lambda(0) - lambda(1)) / whole, (lambda(1) - lambda(2)) / whole);
                // first and second differences, by picture
                let (near, far) = ([1.0 / r0, -1.0 / r0, 0.0], [0.0, 1.0 / r1, -1.0 / r1]);
                let share = r0 / (r0 + r1);
                for k in 0..3 {
                    let first = near[k] + share * (near[k] - far[k]);
                    let second = (near[k] - far[k]) / (r0 + r1);
                    let zeroth = if k == 0 { phi1 } else { 0.0 };
                    terms.push((a * (zeroth + phi2 * first + phi3 * second), picture(k)));
                }
            }
        }
        if let Some(noise) = noise {
            terms.push((t.sigma * (-(-h).exp_m1()).sqrt(), noise));
        }
        sum(&terms)
    }
}

/// Orders of a multistep solver: as many pictures as are known, and less at the end, where few steps are unstable.
fn multistep_orders(dpm: DpmConfig, steps: usize) -> Vec<usize> {
    let few = dpm.lower_order_final && steps < 15;
    let order = |i: usize| {
        let left = steps - i;
        if left == 1 && (dpm.euler_at_final || few || !dpm.last_sigma_min) {
            return 1;
        }
        let most = if left == 2 && few { 2 } else { dpm.order };
        most.min(dpm.order).min(i + 1)
    };
    (0..steps).map(order).collect()
}

/// Orders of a singlestep solver: 1, 2, 1, 2, …, where a step of order 2 begins where the one before it did.
fn singlestep_orders(dpm: DpmConfig, steps: usize) -> Vec<usize> {
    let mut orders: Vec<usize> = (0..steps).map(|i| 1 + i % dpm.order).collect();
    let lower = dpm.lower_order_final || !steps.is_multiple_of(dpm.order) || !dpm.last_sigma_min;
    if let Some(last) = orders.last_mut()
        && lower
    {
        *last = 1;
    }
    orders
}

impl Solver for Dpm {
    fn times(&self) -> &[f32] {
        &self.ratios.times
    }

    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor> {
        let Level { alpha, sigma, .. } = self.ratios.levels[i];
        self.pictures.push_front(self.prediction.picture(alpha, sigma, output, sample)?);
        self.pictures.truncate(self.config.order);
        let order = self.orders[i];
        let drawn = if self.config.stochastic { Some(noise.draw(sample)?) } else { None };
        let (from, base) = match (order, self.begun.take()) {
            (2, Some(begun)) if self.config.singlestep => (i - 1, begun),
            _ => (i, sample.clone()),
        };
        if self.config.singlestep && order == 1 {
            self.begun = Some(base.clone());
        }
        self.update(from, i + 1, order, &base, drawn.as_ref())
    }
}
