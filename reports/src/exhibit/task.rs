//! [`Exhibit`]: a task's answers for people.

use edgemaxx_contract::quality::QualityRecord;

use crate::view::AnswerSource;

/// The two answers of a pair as the page shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Markup in which nothing foreign is left.
    pub html: String,
    /// Whether two of it fit beside one another on a narrow page.
    pub narrow: bool,
    /// How it was made to fit, if the answers are not shown as they are; a reader sees it once for all.
    pub reduced: Option<u32>,
}

/// Shows the answers of one task.
pub(crate) trait Exhibit: Sync {
    /// What is timed, in whole sentences.
    fn timing(&self) -> &'static str;

    /// Judged pairs of answers within `budget` characters, shared equally among them. A pair is
    /// `None` when an answer was not kept, cannot be read, or would not fit.
    fn show(&self, pairs: &[&QualityRecord], source: &dyn AnswerSource, budget: usize) -> Vec<Option<Shown>>;

    /// What was done to answers that are not shown as they are: [`Shown::reduced`] of the least reduced.
    fn reduced(&self, reduced: u32) -> String;
}
