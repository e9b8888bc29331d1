//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod address;
mod all_checks;
mod check;
#[cfg(feature = "chain")]
mod dates;
mod day;
#[cfg(test)]
mod example;
#[cfg(feature = "hub")]
mod fetch;
mod fetched;
#[cfg(feature = "chain")]
mod first_block;
mod joint;
#[cfg(feature = "chain")]
mod node;
#[cfg(feature = "chain")]
mod on_chain;
#[cfg(feature = "chain")]
mod part;
mod plan;
mod recompute;
mod rerun;
mod seal;
#[cfg(feature = "chain")]
mod submitted;
#[cfg(feature = "chain")]
mod witness;

pub use address::address;
pub use all_checks::{audit, look_at_files, whole};
pub use check::{Check, Means, Verdict};
#[cfg(feature = "hub")]
pub use fetch::fetch;
#[cfg(feature = "chain")]
pub use on_chain::on_chain;
pub use rerun::{Agreement, Extract, Likeness, agreement, compare_answers, extract, measure_again, rerun};
