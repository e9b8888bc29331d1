//! The tasks there are.

use std::sync::OnceLock;

use super::definition::TaskRef;
use super::picture::PICTURE;
use super::text::TEXT;
use crate::input::{InputError, bad};
use crate::metric::{Entry, also as also_metrics};

/// Every task of this release.
pub const ALL: &[TaskRef] = &[TaskRef::new(&PICTURE), TaskRef::new(&TEXT)];

/// The task of a contest that names none.
pub const DEFAULT: TaskRef = TaskRef::new(&PICTURE);

static ALSO: OnceLock<TaskRef> = OnceLock::new();

/// Adds a task that this release does not have, with its metrics, once and before any document is read: how a test
/// brings one of its own. Documents hold names of tasks and metrics, so their readers find them here.
pub fn also(task: TaskRef, metrics: &'static [Entry]) {
    let _ = ALSO.set(task);
    also_metrics(metrics);
}

/// The task called `name`.
///
/// # Errors
/// [`InputError::Value`] lists those there are.
pub fn by_name(name: &str) -> Result<TaskRef, InputError> {
    let all = || ALL.iter().chain(ALSO.get()).copied();
    all().find(|task| task.name() == name).ok_or_else(|| {
        let names: Vec<String> = all().map(|task| format!("{:?}", task.name())).collect();
        bad("task", &names.join(" or "), format!("{name:?}"))
    })
}
