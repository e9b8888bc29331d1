//! Two versions of a pipeline in one run: what `edgemaxx ci` is made of.

mod contest;
mod pilot;
mod tree;

pub use contest::{Both, CHANGE, REFERENCE, Version, is_one, of_two};
pub use pilot::{PILOT_MINUTES, attempt_minutes, is_enough, seconds_each, sessions_within, with_sessions};
pub use tree::{Tree, build};
