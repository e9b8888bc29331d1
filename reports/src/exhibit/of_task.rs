//! The exhibits there are, one for each task.

use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::task::TaskRef;

use super::picture::PictureExhibit;
use super::task::{Exhibit, Shown};
use super::text::TextExhibit;
use crate::view::AnswerSource;

/// The exhibit of a task; one that nobody shows is shown by its numbers alone.
pub(crate) fn of_task(task: TaskRef) -> &'static dyn Exhibit {
    known(task).unwrap_or(&Unknown)
}

fn known(task: TaskRef) -> Option<&'static dyn Exhibit> {
    match task.name() {
        "picture" => Some(&PictureExhibit),
        "text" => Some(&TextExhibit),
        _ => None,
    }
}

/// A task whose answers nobody can show.
struct Unknown;

impl Exhibit for Unknown {
    fn timing(&self) -> &'static str {
        "For the same request, the time from the request fully sent to the answer fully received, on the harness's \
         own clock, for the baseline and for the candidate, one right after the other."
    }

    fn show(&self, pairs: &[&QualityRecord], _: &dyn AnswerSource, _: usize) -> Vec<Option<Shown>> {
        vec![None; pairs.len()]
    }

    fn reduced(&self, _: u32) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::task::ALL;

    use super::*;

    #[test]
    fn every_task_has_its_exhibit() {
        for task in ALL {
            assert!(known(*task).is_some(), "{task}: nobody shows its answers");
        }
    }
}
