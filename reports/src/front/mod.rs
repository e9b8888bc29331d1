//! What a visitor reads first: a contest's outcome for a person who knows no statistics.

mod evidence;
mod outcome;

pub use evidence::Evidence;
pub(crate) use outcome::Front;
