//! Chain weights: relative rewards to `(hotkey, uid, u16)`, the chain's rules checked before submission, and sealing them.

mod chain_rules;
mod join;
mod normalize;
pub mod timelock;

pub use chain_rules::{Facts, Rule, Violation, preflight};
pub use join::{Joined, WeightTriple, join};
pub use normalize::{WeightsError, normalize};
