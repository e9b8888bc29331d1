//! The tasks there are.

use std::sync::OnceLock;

use edgemaxx_contract::plan::Plan;

use super::codec::Codec;
use super::picture::PICTURE;

/// All codecs.
pub const ALL: [&dyn Codec; 1] = [&PICTURE];

static ALSO: OnceLock<&[&dyn Codec]> = OnceLock::new();

/// Adds codecs of tasks that this release does not have, once; see [`edgemaxx_contract::task::also`].
pub fn also(codecs: &'static [&'static dyn Codec]) {
    let _ = ALSO.set(codecs);
}

/// The codec of a task.
pub fn by_name(task: &str) -> Option<&'static dyn Codec> {
    let also = ALSO.get().copied().unwrap_or_default().iter().copied();
    ALL.into_iter().chain(also).find(|codec| codec.task() == task)
}

/// The codec of a plan's task.
pub fn of_plan(plan: &Plan) -> Option<&'static dyn Codec> {
    by_name(plan.task.name())
}

#[cfg(test)]
mod tests {
    use super::{ALL, by_name};

    #[test]
    fn each_task_is_found_by_its_name_alone() {
        for codec in ALL {
            assert_eq!(by_name(codec.task()).map(Codec::task), Some(codec.task()));
        }
        assert!(by_name("no such task").is_none());
    }

    use super::Codec;
}
