//! How answers are shown: what a page must know of a task, and nothing else.

mod list;
mod picture;
mod task;
mod text;

pub(crate) use list::of_task;
pub(crate) use task::Shown;
