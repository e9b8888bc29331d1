//! Chain weights: relative rewards to `(hotkey, uid, u16)`, and the chain's rules checked before submission.

mod chain_rules;
mod join;
mod normalize;

pub use chain_rules::{Facts, Rule, Violation, preflight};
pub use join::{Joined, WeightTriple, join};
pub use normalize::{WeightsError, normalize};
