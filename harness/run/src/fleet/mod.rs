//! Runs whose lanes other hosts measure: handing them out, and measuring one.

mod assignment;
mod bounds;
mod coordinator;
mod fetch;
mod hand_out;
mod hopeless;
mod inputs;
mod keep;
mod lane;
mod lost;
mod publisher;
mod roster;
mod spool;
mod tail;
mod take_in;
mod upload;
mod worker;

pub use coordinator::{Terms, measure_fleet};
pub use inputs::travels;
pub use roster::this_host;
pub use worker::{Settings, work};
