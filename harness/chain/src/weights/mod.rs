//! Chain weights: relative rewards to `(hotkey, uid, u16)`, and the chain's rules checked before submission.

mod join;
mod normalize;
mod preflight;

pub use join::{Joined, WeightTriple, join};
pub use normalize::{WeightsError, normalize};
pub use preflight::{Facts, Rule, Violation, preflight};
