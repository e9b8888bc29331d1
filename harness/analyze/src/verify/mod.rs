//! `edgemaxx stats verify`: do the methods hold what they promise? By simulation, for anyone.

mod blocks;
mod checks;
mod comparisons;
mod earnings;
mod elimination;
mod generators;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use generators::{Generator, Residuals};

use crate::random::Seed;
use crate::samples::SampleTable;

/// How much to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySettings {
    /// Repetitions of each coverage and error rate; the costlier checks take a tenth.
    pub repetitions: usize,
    /// Another seed, other random numbers.
    pub seed: u64,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { repetitions: 20_000, seed: 1 }
    }
}

/// The answer of `stats verify --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Repetitions asked for.
    pub repetitions: usize,
    /// The seed.
    pub seed: u64,
    /// Whether every row is within its bounds.
    pub passed: bool,
    /// One row for each simulated rate.
    pub rows: Vec<Row>,
}

/// One simulated rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What is checked, e.g. `coverage`.
    pub check: &'static str,
    /// The method that is checked.
    pub method: String,
    /// The noise, e.g. `AR(1) φ=.6`.
    pub generator: String,
    /// Sessions per candidate.
    pub sessions: usize,
    /// Pairs per session.
    pub pairs: usize,
    /// Repetitions of this row.
    pub repetitions: usize,
    /// The rate found, in [0, 1].
    pub rate: f64,
    /// The smallest rate allowed; `None`: no bound.
    pub at_least: Option<f64>,
    /// The largest rate allowed; `None`: no bound.
    pub at_most: Option<f64>,
    /// Two standard errors of the simulation at the bound: by so much a bound may be missed.
    pub tolerance: f64,
    /// Whether the rate is within its bounds. A row without bounds shows a limit of a method,
    /// and always passes.
    pub passed: bool,
}

impl Row {
    /// Two binomial standard errors.
    fn judged(mut self) -> Self {
        let error = |bound: f64| 2.0 * (bound * (1.0 - bound) / self.repetitions as f64).sqrt();
        let bounds = [self.at_least, self.at_most];
        self.tolerance = bounds.into_iter().flatten().map(error).fold(0.0, f64::max);
        self.passed = self.at_least.is_none_or(|bound| self.rate >= bound - self.tolerance)
            && self.at_most.is_none_or(|bound| self.rate <= bound + self.tolerance);
        self
    }
}

/// One in so many of the repetitions, for what costs so many times as much; a hundred at least.
fn one_in(many: usize, repetitions: usize) -> usize {
    (repetitions / many).max(100)
}

/// Simulates everything; with `run`, adds rows on the run's own resampled residuals.
///
/// The result depends on settings and run only, not on the number of threads.
pub fn verify(settings: &VerifySettings, run: Option<&SampleTable>) -> Verification {
    let seed = Seed::of(settings.seed.to_le_bytes());
    let (all, tenth) = (one_in(1, settings.repetitions), one_in(10, settings.repetitions));
    let mut rows = checks::all(all, seed);
    rows.extend(comparisons::all(all, seed));
    rows.extend(blocks::all(all, seed));
    rows.extend(elimination::all(tenth, seed));
    rows.extend(earnings::all(tenth, seed));
    if let Some((table, residuals)) = run.and_then(|table| Some((table, Residuals::of(table)?))) {
        rows.extend(checks::of_run(table, &residuals, all, seed));
    }
    let passed = rows.iter().all(|row| row.passed);
    Verification { repetitions: settings.repetitions, seed: settings.seed, passed, rows }
}
