//! The plan: which requests, in which order, in which process sessions. Known to nobody before
//! the entropy is, and to everybody after.

mod block;
mod draw;
mod file;
mod lanes;
mod types;

pub use block::{next_block, turns};
pub use draw::{PlanError, PlanInputs, draw_plan};
pub use lanes::{MIN_ROUNDS, lane_of};
pub use types::{
    ContestRef, Day, DayError, Entropy, EntropyError, Extent, PipelinePlan, Plan, PlannedPair, PlannedRepeat,
    PlannedRequest, PlannedSession, PromptsRef, Role, Side,
};

#[cfg(test)]
mod tests;
