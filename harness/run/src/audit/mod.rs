//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod chain;
mod check;
mod dates;
mod fetch;
mod first_block;
mod order;
mod plan;
mod recompute;
mod rerun;
mod sealed;
mod submitted;
mod verdict;

pub use chain::on_chain;
pub use check::{Check, Means, Verdict};
pub use fetch::{address, fetch};
pub use order::{audit, whole};
pub use rerun::{Agreement, Extract, Likeness, agreement, compare_pictures, extract, measure_again, rerun};
