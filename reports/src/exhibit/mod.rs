//! How answers are shown: what a page must know of a task, and nothing else.

mod picture;
mod task;

pub(crate) use task::{Shown, of_task};
