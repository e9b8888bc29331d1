//! What a miner does before submitting: check, optimise, measure, search, seal.

mod bench;
mod check;
mod optimize;
mod recipe;
#[cfg(feature = "chain")]
mod seals;
mod search;

pub use bench::{Benched, bench};
pub use check::{Checked, check, check_resolved};
pub use optimize::optimize;
pub use recipe::Step;
#[cfg(feature = "chain")]
pub use seals::{Kept, Seals};
pub use search::choose;
