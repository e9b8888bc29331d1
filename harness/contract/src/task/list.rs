//! The tasks there are.

use super::definition::TaskRef;
use super::picture::PICTURE;
use crate::input::{InputError, bad};

/// Every task of this release.
pub const ALL: &[TaskRef] = &[TaskRef::new(&PICTURE)];

/// The task of a contest that names none.
pub const DEFAULT: TaskRef = TaskRef::new(&PICTURE);

/// The task called `name` among `tasks`.
///
/// # Errors
/// [`InputError::Value`] lists those there are.
pub fn by_name(name: &str, tasks: &[TaskRef]) -> Result<TaskRef, InputError> {
    tasks.iter().copied().find(|task| task.name() == name).ok_or_else(|| {
        let names: Vec<String> = tasks.iter().map(|task| format!("{:?}", task.name())).collect();
        bad("task", &names.join(" or "), format!("{name:?}"))
    })
}
