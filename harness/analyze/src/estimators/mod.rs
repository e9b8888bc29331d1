//! Estimators on plain slices of numbers; none knows what a pipeline is.

pub mod autocorrelation;
pub mod bootstrap;
pub mod drift;
#[cfg(test)]
pub(crate) mod known;
pub mod multiplicity;
pub mod one_sided;
pub mod outliers;
pub mod quantiles;
pub mod sign_test;
pub mod student;
mod summary;
pub mod welch;
pub mod wilcoxon;

pub use summary::{Method, Summary, UnknownMethod};
