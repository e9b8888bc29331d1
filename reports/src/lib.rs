//! Renders a run as HTML, Markdown, JUnit, JSON and tables; a comparison for CI; many runs as a site.
//!
//! Everything here is a pure function from values to text: no file, clock, locale or network. The
//! caller reads the run folder into a [`RunView`] and writes what it gets back.

mod comparison;
mod day;
mod escape;
mod exhibit;
mod front;
mod history;
mod html;
mod joint;
mod junit;
mod markdown;
mod number;
mod page;
mod plot;
mod standing;
mod summary;
pub mod tables;
mod view;

pub use comparison::{comparison_github, comparison_junit, comparison_markdown};
pub use day::DayView;
pub use front::Evidence;
pub use history::{HistoryRun, QuietDay, SiteFile, history};
pub use html::{day_html, html};
pub use joint::{JointView, joint_html, joint_markdown};
pub use junit::junit;
pub use markdown::{day_markdown, markdown};
pub use summary::{Summary, SummaryCandidate, SummaryEstimate, summary, summary_json};
pub use view::{AnswerSource, FileDigest, NoAnswers, RunView};

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A template and its values do not fit: a defect of this program, not of the run.
    #[error("the report's template could not be rendered: {0}")]
    Template(String),
    /// A suite that XML cannot hold: a defect of this program, not of the run.
    #[error("the report could not be written as JUnit: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    /// A value that JSON cannot hold.
    #[error("the report could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<tera::Error> for ReportError {
    fn from(error: tera::Error) -> Self {
        use std::error::Error as _;
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::Template(text)
    }
}
