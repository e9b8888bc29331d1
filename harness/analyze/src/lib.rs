//! From samples to estimates and ranks.

pub mod estimators;
pub mod inference;
pub mod random;
pub mod samples;
pub mod sequential;
pub mod sources;
