//! The times of a picture in the training schedule, rounded where NumPy rounds: halves to even.

use super::config::{ScheduleConfig, Spacing};
use crate::error::{Error, Result};

/// Times of one picture, from the noisiest; `steps` of them.
///
/// `rounded` says whether an even spread from the last time to zero is rounded to whole times.
pub(super) fn times(spacing: Spacing, total: usize, offset: usize, steps: usize, rounded: bool) -> Vec<f32> {
    match spacing {
        Spacing::Linspace => {
            let even = linspace(total as f64 - 1.0, steps).into_iter().rev();
            even.map(|t| if rounded { t.round_ties_even() } else { t } as f32).collect()
        }
        Spacing::Leading => (0..steps).rev().map(|i| (i * (total / steps) + offset) as f32).collect(),
        Spacing::Trailing => trailing(total, total as f64 / steps as f64),
    }
}

/// Times of one picture where the solver leaves out the last of `steps + 1` times, which is free of noise; `last` is the
/// number of training times that are used.
pub(super) fn times_before_the_end(
    spacing: Spacing,
    total: usize,
    last: usize,
    offset: usize,
    steps: usize,
) -> Vec<f32> {
    match spacing {
        Spacing::Linspace => {
            let even = linspace(last as f64 - 1.0, steps + 1).into_iter().skip(1).rev();
            even.map(|t| t.round_ties_even() as f32).collect()
        }
        Spacing::Leading => (1..=steps).rev().map(|i| (i * (last / (steps + 1)) + offset) as f32).collect(),
        Spacing::Trailing => trailing(last, total as f64 / steps as f64),
    }
}

/// Times of one picture: `steps` of the `original` ones that the model was distilled at, from the last.
///
/// # Errors
/// [`Error::Request`] where there are fewer of them.
pub(super) fn distilled_times(c: &ScheduleConfig, original: usize, steps: usize) -> Result<Vec<f32>> {
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

/// Counted down from the end by a stride that need not be whole.
fn trailing(last: usize, stride: f64) -> Vec<f32> {
    let count = (last as f64 / stride).ceil() as usize;
    (0..count).map(|i| (last as f64 - i as f64 * stride).round_ties_even() as f32 - 1.0).collect()
}

/// `numpy.linspace(0, end, n)`: a single value is its start.
fn linspace(end: f64, n: usize) -> Vec<f64> {
    let stride = end / (n as f64 - 1.0).max(1.0);
    (0..n).map(|i| if i + 1 == n && n > 1 { end } else { i as f64 * stride }).collect()
}
