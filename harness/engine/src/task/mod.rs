//! Tasks: how what a plan asks becomes frames, and an answer what is kept.

mod codec;
mod list;
mod object;
pub mod picture;

pub use codec::{Artefact, Codec, Probe, Purpose, Question};
pub use list::{ALL, also, by_name, of_plan};
pub use object::{object, parse};
