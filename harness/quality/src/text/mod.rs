//! Judges texts by the tokens that were timed: what the baseline's model would have chosen in the place of each.

mod detail;
mod judge;
mod metric_functions;
mod reader;

pub use judge::TextJudge;
pub use reader::{MOST_MARGIN, Read, Reader};
