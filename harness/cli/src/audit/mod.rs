//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod again;
mod chain;
mod derived;
mod fetch;
mod plan;
mod sealed;
mod verdict;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) use again::{
    Agreement, Extract, Likeness, agreement, compare_pictures, extract, least_ssim, measure_again,
};

pub(crate) use chain::on_chain;
pub(crate) use fetch::{address, fetch};

use crate::error::words;
use crate::folder::RunFolder;

/// What an audit may use beside the run folder.
pub(crate) struct Means {
    /// The sealed day before.
    pub(crate) previous: Option<PathBuf>,
    /// Folder that the contest's paths are relative to.
    pub(crate) base: Option<PathBuf>,
    /// Who must have signed.
    pub(crate) hotkey: Option<String>,
    /// Whether a run that nobody signed may pass.
    pub(crate) allow_unsigned: bool,
}

/// One check's result.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// What was checked.
    pub(crate) what: &'static str,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// In words; for a failure, the file first.
    pub(crate) detail: String,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be made here.
    Skipped,
}

/// A check that holds, or could not be made.
pub(crate) enum Held {
    Yes(String),
    NotHere(String),
}

/// Checks so far; nothing more is to be made after one that failed.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    /// Notes how a check came out; `false`: it failed.
    fn add(&mut self, what: &'static str, result: anyhow::Result<Held>) -> bool {
        let (verdict, detail) = match result {
            Ok(Held::Yes(detail)) => (Verdict::Passed, detail),
            Ok(Held::NotHere(detail)) => (Verdict::Skipped, detail),
            Err(error) => (Verdict::Failed, words(&error)),
        };
        self.0.push(Check { what, verdict, detail });
        verdict != Verdict::Failed
    }
}

/// The checks of a run up to the first that fails.
pub(crate) fn audit(path: &Path, means: &Means) -> Vec<Check> {
    let mut checks = Checks::default();
    let whole = checks.add("signature", sealed::signature(path, means))
        && checks.add("files", sealed::files(path))
        && checks.add("day before", sealed::previous(path, means));
    if whole && path.join("plan.json").is_file() {
        measured(path, means, &mut checks);
    } else if whole {
        checks.add("weights", verdict::weights(path, means));
    }
    checks.0
}

/// The checks of a day on which something was measured.
fn measured(path: &Path, means: &Means, checks: &mut Checks) {
    let folder = match RunFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => {
            checks.add("plan", Err(error));
            return;
        }
    };
    let _ = checks.add("plan", plan::drawn(&folder, means))
        && checks.add("candidates", verdict::candidates(&folder))
        && checks.add("log", derived::log(&folder))
        && checks.add("pictures", derived::pictures(&folder))
        && checks.add("quality", derived::quality(&folder, means))
        && checks.add("estimates, ranking, report", derived::recomputed(&folder))
        && checks.add("weights", verdict::weights(path, means));
}
