//! The tasks there are.

use std::sync::OnceLock;

use super::definition::TaskRef;
use super::picture::PICTURE;
use crate::input::{InputError, bad};

/// Every task of this release.
pub const ALL: &[TaskRef] = &[TaskRef::new(&PICTURE)];

/// The task of a contest that names none.
pub const DEFAULT: TaskRef = TaskRef::new(&PICTURE);

static ALSO: OnceLock<&[TaskRef]> = OnceLock::new();

/// Adds tasks that this release does not have, once and before any contest is read: how a test brings one of its own,
/// with its metrics ([`crate::metric::also`]) and what the crates above must know of it.
pub fn also(tasks: &'static [TaskRef]) {
    let _ = ALSO.set(tasks);
}

/// The task called `name`.
///
/// # Errors
/// [`InputError::Value`] lists those there are.
pub fn by_name(name: &str) -> Result<TaskRef, InputError> {
    let all = || ALL.iter().chain(ALSO.get().copied().unwrap_or_default()).copied();
    all().find(|task| task.name() == name).ok_or_else(|| {
        let names: Vec<String> = all().map(|task| format!("{:?}", task.name())).collect();
        bad("task", &names.join(" or "), format!("{name:?}"))
    })
}
