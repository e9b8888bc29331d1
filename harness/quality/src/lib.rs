//! Judges pairs of answers: for each task a judge, for each metric a function.

mod error;
mod judge;
pub mod picture;
pub mod text;

pub use error::{QualityError, Result};
pub use judge::{Artefact, Judge, Pair, records};
