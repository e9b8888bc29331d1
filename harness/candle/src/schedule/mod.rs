//! Noise schedules of diffusers, from `scheduler_config.json`.
mod betas;
mod config;
mod ddim;
mod euler;

pub use config::{Prediction, SCHEDULERS, ScheduleConfig, Spacing};

use crate::error::{Error, Result};
use candle_core::Tensor;

/// The steps of one picture: which time the model is asked about, how its input is scaled, how its answer is used.
pub enum Schedule {
    /// diffusers' `EulerDiscreteScheduler`.
    Euler(euler::Euler),
    /// diffusers' `DDIMScheduler` without added noise (η = 0).
    Ddim(ddim::Ddim),
}

impl Schedule {
    /// The schedule for `steps` steps.
    ///
    /// # Errors
    /// [`Error::Request`] where `steps` is zero or beyond the training schedule.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self> {
        if steps == 0 || steps > config.train_steps {
            return Err(Error::Request {
                field: "steps",
                found: steps.to_string(),
                expected: format!("1 to {}", config.train_steps),
            });
        }
        Ok(match config.ddim {
            None => Self::Euler(euler::Euler::new(config, steps)),
            Some(ddim) => Self::Ddim(ddim::Ddim::new(config, ddim, steps)?),
        })
    }

    /// Times to ask the model about, one per step.
    pub fn times(&self) -> &[f32] {
        match self {
            Self::Euler(s) => &s.times,
            Self::Ddim(s) => &s.times,
        }
    }

    /// Factor of the initial noise.
    pub fn initial_scale(&self) -> f32 {
        match self {
            Self::Euler(s) => s.initial_scale,
            Self::Ddim(_) => 1.0,
        }
    }

    /// The model's input at step `i`.
    pub fn scale_input(&self, sample: &Tensor, i: usize) -> Result<Tensor> {
        match self {
            Self::Euler(s) => s.scale_input(sample, i),
            Self::Ddim(_) => Ok(sample.clone()),
        }
    }

    /// The sample after step `i`, from the one before it and the model's output; both f32.
    pub fn step(&self, output: &Tensor, i: usize, sample: &Tensor) -> Result<Tensor> {
        match self {
            Self::Euler(s) => s.step(output, i, sample),
            Self::Ddim(s) => s.step(output, i, sample),
        }
    }
}
