//! What a miner does: check, optimise, measure, search, seal, submit.

mod bench;
mod check;
mod optimize;
mod recipe;
#[cfg(feature = "chain")]
mod seals;
mod search;
#[cfg(all(feature = "chain", feature = "hub"))]
mod submit;
mod tune;

pub use bench::{Benched, bench};
pub use check::{Checked, check, check_resolved};
pub use optimize::optimize;
pub use recipe::Step;
#[cfg(feature = "chain")]
pub use seals::{Kept, Seals};
use search::choose;
#[cfg(all(feature = "chain", feature = "hub"))]
pub use submit::{Entry, Miner, Ready};
pub use tune::{Axis, Combination, Point, Search, grid, tune};
