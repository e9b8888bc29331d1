//! Tasks: how what a plan asks becomes frames, and an answer what is kept.

mod codec;
mod object;
pub mod picture;
pub mod text;

pub use codec::{Artefact, Codec, Probe, Purpose, Question, Scoring};
pub use object::{object, parse};
