//! How answers are shown: what a page must know of a task, and nothing else.

mod of_task;
mod picture;
mod task;
mod text;

pub(crate) use of_task::of_task;
pub(crate) use task::Shown;
