//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod address;
#[cfg(feature = "chain")]
mod chain;
mod check;
#[cfg(feature = "chain")]
mod dates;
mod day;
#[cfg(feature = "hub")]
mod fetch;
mod fetched;
#[cfg(feature = "chain")]
mod first_block;
mod joint;
mod order;
#[cfg(feature = "chain")]
mod part;
mod plan;
mod recompute;
mod rerun;
mod sealed;
#[cfg(feature = "chain")]
mod submitted;

pub use address::address;
#[cfg(feature = "chain")]
pub use chain::on_chain;
pub use check::{Check, Means, Verdict};
#[cfg(feature = "hub")]
pub use fetch::fetch;
pub use order::{audit, look_at_files, whole};
pub use rerun::{Agreement, Extract, Likeness, agreement, compare_answers, extract, measure_again, rerun};
