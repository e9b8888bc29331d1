//! diffusers' `DDIMScheduler` with η = 0.
use super::config::{DdimConfig, Prediction, ScheduleConfig, Spacing};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Times of one picture and the training schedule they index.
pub struct Ddim {
    pub(super) times: Vec<f32>,
    /// ᾱ at each step and at the one after it.
    alphas: Vec<(f32, f32)>,
    prediction: Prediction,
    clip: Option<f64>,
}

impl Ddim {
    pub(super) fn new(c: &ScheduleConfig, ddim: DdimConfig, steps: usize) -> Result<Self> {
        let stride = c.train_steps / steps;
        let times = times(c, steps);
        let after_last = if ddim.last_alpha_one { 1.0 } else { c.alphas[0] };
        let alphas = times
            .iter()
            .map(|&t| {
                let now = c.alphas.get(t).ok_or_else(|| Error::Request {
                    field: "steps",
                    found: format!("{steps}, whose times reach {t} with steps_offset {}", c.offset),
                    expected: format!("times below {}", c.train_steps),
                })?;
                if t + 1 == c.train_steps && c.starts_from_nothing() {
                    let found = format!(
                        "{steps}, whose first time is the last one, with rescale_betas_zero_snr and epsilon"
                    );
                    let expected = "fewer, or a model that predicts v".to_string();
                    return Err(Error::Request { field: "steps", found, expected });
                }
                Ok((*now, if t >= stride { c.alphas[t - stride] } else { after_last }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            times: times.iter().map(|&t| t as f32).collect(),
            alphas,
            prediction: c.prediction,
            clip: ddim.clip,
        })
    }

    pub(super) fn step(&self, output: &Tensor, i: usize, sample: &Tensor) -> Result<Tensor> {
        let (now, next) = self.alphas[i];
        let (signal, noise) = (f64::from(now.sqrt()), f64::from((1.0 - now).sqrt()));
        let (picture, epsilon) = match self.prediction {
            Prediction::Epsilon => (((sample - (output * noise)?)? / signal)?, output.clone()),
            Prediction::Velocity => {
                (((sample * signal)? - (output * noise)?)?, ((output * signal)? + (sample * noise)?)?)
            }
            Prediction::Sample => (output.clone(), ((sample - (output * signal)?)? / noise)?),
        };
        let picture = match self.clip {
            Some(range) => picture.clamp(-range, range)?,
            None => picture,
        };
        Ok(((picture * f64::from(next.sqrt()))? + (epsilon * f64::from((1.0 - next).sqrt()))?)?)
    }
}

/// Integer times; NumPy's rounding: halves to even.
fn times(c: &ScheduleConfig, steps: usize) -> Vec<usize> {
    let (total, n) = (c.train_steps as f64, steps as f64);
    match c.spacing {
        Spacing::Linspace => {
            let stride = (total - 1.0) / (n - 1.0).max(1.0);
            (0..steps).rev().map(|i| (i as f64 * stride).round_ties_even() as usize).collect()
        }
        Spacing::Leading => (0..steps).rev().map(|i| i * (c.train_steps / steps) + c.offset).collect(),
        Spacing::Trailing => {
            let stride = total / n;
            let count = (total / stride).ceil() as usize;
            (0..count)
                .map(|i| ((total - i as f64 * stride).round_ties_even() as usize).saturating_sub(1))
                .collect()
        }
    }
}
