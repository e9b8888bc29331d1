//! Runs whose lanes other hosts measure: handing them out, and measuring one.

mod coordinator;
mod inputs;
mod lane;
mod roster;
mod tail;
mod task;
mod worker;

pub use coordinator::{Terms, measure_fleet};
pub use roster::own_claim;
pub use worker::{Settings, work};
