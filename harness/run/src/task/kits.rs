//! The kits there are, one for each task.

use std::path::Path;
use std::sync::OnceLock;

use edgemaxx_contract::metric::Entry;
use edgemaxx_contract::task::{self, TaskRef};

use super::kit::Kit;
use super::picture::PICTURE;
use super::text::TEXT;
use crate::error::{Result, RunError};

/// The kits of all tasks of this release.
pub const ALL: &[&dyn Kit] = &[&PICTURE, &TEXT];

static ALSO: OnceLock<&dyn Kit> = OnceLock::new();

/// Adds a task that this release does not have, with its metrics, once and before any document is read: how a test
/// brings one of its own.
pub fn also(kit: &'static dyn Kit, metrics: &'static [Entry]) {
    let _ = ALSO.set(kit);
    task::also(kit.task(), metrics);
}

fn all() -> impl Iterator<Item = &'static dyn Kit> {
    ALL.iter().chain(ALSO.get()).copied()
}

/// The kit of a task.
///
/// # Errors
/// Nobody knows how to run it.
pub fn kit(task: TaskRef) -> Result<&'static dyn Kit> {
    all()
        .find(|kit| kit.task() == task)
        .ok_or_else(|| RunError::input(format!("the task {task}: nobody here knows how to run it")))
}

/// The kit of the task of that name.
///
/// # Errors
/// Lists the tasks there are.
pub fn of_name(name: &str) -> Result<&'static dyn Kit> {
    kit(task::by_name(name)?)
}

/// The kit of the task that a checkpoint is for, where no contest says it, by its layout; where that says nothing, of
/// the task of a contest that names none.
pub fn of_checkpoint(folder: &Path) -> &'static dyn Kit {
    all().find(|kit| kit.is_checkpoint(folder)).unwrap_or(usual())
}

/// The kit of the task whose answers lie in such files, by the file's name; where that says nothing, as
/// [`of_checkpoint`].
pub fn of_answer(file: &Path) -> &'static dyn Kit {
    let extension = file.extension().and_then(|extension| extension.to_str());
    all().find(|kit| extension == Some(kit.task().extension())).unwrap_or(usual())
}

fn usual() -> &'static dyn Kit {
    &PICTURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_its_kit() {
        for task in task::ALL {
            let kit = kit(*task).unwrap();
            assert_eq!(kit.codec().task(), task.name());
        }
        assert_eq!(ALL.len(), task::ALL.len());
        assert_eq!(usual().task(), task::DEFAULT);
        assert!(of_name("no such task").is_err());
    }

    #[test]
    fn a_checkpoint_says_its_task() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models");
        assert_eq!(of_checkpoint(&models.join("emoji-sdxl")).task().name(), "picture");
        assert_eq!(of_checkpoint(Path::new("/no/such/folder")).task(), task::DEFAULT);
        assert_eq!(of_checkpoint(&models.join("stories-llama")).task().name(), "text");
        // Be it one that can be loaded or not.
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("config.json", r#"{"_class_name": "UNet2DConditionModel"}"#);
        assert_eq!(of_checkpoint(folder.path()).task(), task::DEFAULT);
        file("config.json", r#"{"model_type": "gpt2"}"#);
        assert_eq!(of_checkpoint(folder.path()).task().name(), "text");
        std::fs::remove_file(folder.path().join("config.json")).unwrap();
        file("a.gguf", "");
        file("b.gguf", "");
        assert_eq!(of_checkpoint(folder.path()).task().name(), "text");
        assert_eq!(of_answer(Path::new("a.png")).task().name(), "picture");
        assert_eq!(of_answer(Path::new("a.json")).task().name(), "text");
    }
}
