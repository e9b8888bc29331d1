//! Two versions of a pipeline in one run: what `edgemaxx ci` is made of.

mod contest;
mod tree;

pub use contest::{CHANGE, REFERENCE, Version, of_two};
pub use tree::{Tree, build};
