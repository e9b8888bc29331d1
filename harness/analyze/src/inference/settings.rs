//! How to analyse.

use edgemaxx_contract::confidence::{DEFAULT_LEVEL, HIGHEST_LEVEL, LOWEST_LEVEL, is_level};

use crate::estimators::Method;

/// What an analysis may be told; [`Settings::default`] is what a run uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Two-sided confidence level of every interval, and of all claims together.
    pub level: f64,
    /// The method of the speed intervals; `None`: Student's t on session means, or with a single
    /// session the autocorrelation-robust interval.
    pub method: Option<Method>,
    /// Bootstrap resamples, where a bootstrap is asked for.
    pub resamples: usize,
    /// First and last look, where measuring might have stopped after any session between them.
    pub looks: Option<(usize, usize)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: DEFAULT_LEVEL, method: None, resamples: 10_000, looks: None }
    }
}

/// Settings that make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Not a confidence level.
    #[error("level: expected a number from {LOWEST_LEVEL} to {HIGHEST_LEVEL}, found {0}")]
    Level(f64),
    /// Too few or too many resamples.
    #[error("resamples: expected 100 to 10,000,000, found {0}")]
    Resamples(usize),
    /// A method that cannot be combined with looks.
    #[error("method {0}: only student can be combined with stopping early; leave the method out")]
    Looks(Method),
}

impl Settings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !is_level(self.level) {
            return Err(SettingsError::Level(self.level));
        }
        if !(100..=10_000_000).contains(&self.resamples) {
            return Err(SettingsError::Resamples(self.resamples));
        }
        match self.method {
            Some(method) if self.looks.is_some() && method != Method::Student => {
                Err(SettingsError::Looks(method))
            }
            _ => Ok(()),
        }
    }
}
