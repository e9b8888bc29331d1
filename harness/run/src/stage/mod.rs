//! The stages: each reads files of a run folder and writes new ones.

pub mod analyze;
pub mod measure;
pub mod plan;
pub mod quality;
pub mod rank;
pub mod report;

mod lanes;
mod measure_options;
mod whole;

pub use whole::{Lost, after_measuring, whole};
