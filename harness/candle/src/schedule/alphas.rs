//! How much of the picture is left at whole times: ᾱ, the square of its factor.

use candle_core::Tensor;

use super::config::{Clipping, Prediction, ScheduleConfig};
use super::predict::clipped;
use crate::error::{Error, Result};

/// ᾱ at each step's time and at the one after it, and the picture that a model sees there.
pub(super) struct Alphas {
    pub(super) times: Vec<f32>,
    pub(super) pairs: Vec<(f32, f32)>,
    pub(super) prediction: Prediction,
    clip: Option<f64>,
}

impl Alphas {
    /// Looks up `times`, and of each the time after it; `None` is that after the last, where the picture is whole or,
    /// where the configuration says so, as noisy as at time 0.
    ///
    /// # Errors
    /// [`Error::Request`] where a time is beyond the training schedule, or nothing of the picture is left at one.
    pub(super) fn new(
        c: &ScheduleConfig,
        clipping: Clipping,
        times: &[f32],
        after: impl Fn(usize) -> Option<usize>,
    ) -> Result<Self> {
        let after_last = if clipping.last_alpha_one { 1.0 } else { c.alphas[0] };
        let pairs = times.iter().enumerate().map(|(i, &t)| {
            let t = t as usize;
            let now = at(c, t, times.len())?;
            if now == 0.0 && c.prediction == Prediction::Epsilon {
                let found = format!(
                    "{}, whose times reach the last one, {t}, with rescale_betas_zero_snr and epsilon",
                    times.len()
                );
                let expected = "fewer, or a model that predicts v".to_string();
                return Err(Error::Request { field: "steps", found, expected });
            }
            Ok((now, after(i).map_or(Ok(after_last), |next| at(c, next, times.len()))?))
        });
        let pairs = pairs.collect::<Result<_>>()?;
        Ok(Self { times: times.to_vec(), pairs, prediction: c.prediction, clip: clipping.clip })
    }

    /// [`Self::new`] where the time after each is the next one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn in_turn(c: &ScheduleConfig, clipping: Clipping, times: &[f32]) -> Result<Self> {
        Self::new(c, clipping, times, |i| times.get(i + 1).map(|t| *t as usize))
    }

    /// The picture in a step's output, clipped where the configuration says so.
    pub(super) fn picture(&self, i: usize, output: &Tensor, sample: &Tensor) -> Result<Tensor> {
        let (now, _) = self.pairs[i];
        clipped(self.prediction.picture(now.sqrt(), (1.0 - now).sqrt(), output, sample)?, self.clip)
    }
}

/// ᾱ at a time.
pub(super) fn at(c: &ScheduleConfig, t: usize, steps: usize) -> Result<f32> {
    c.alphas.get(t).copied().ok_or_else(|| Error::Request {
        field: "steps",
        found: format!("{steps}, whose times reach {t} with steps_offset {}", c.offset),
        expected: format!("times below {}", c.train_steps),
    })
}
