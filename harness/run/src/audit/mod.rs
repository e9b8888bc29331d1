//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod chain;
mod fetch;
mod plan;
mod recompute;
mod rerun;
mod sealed;
mod verdict;

use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::PLAN_FILE;
use serde::Serialize;

pub use rerun::{Agreement, Extract, Likeness, agreement, compare_pictures, extract, measure_again, rerun};

pub use chain::on_chain;
pub use fetch::{address, fetch};

use crate::error::Result;
use crate::folder::RunFolder;
use crate::progress::Observer;

/// What an audit may use beside the run folder.
pub struct Means {
    /// The sealed day before.
    pub previous: Option<PathBuf>,
    /// Folder that the contest's paths are relative to.
    pub base: Option<PathBuf>,
    /// Who must have signed.
    pub hotkey: Option<String>,
    /// Whether a run that nobody signed may pass.
    pub allow_unsigned: bool,
}

/// One check's result.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub what: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// In words; for a failure, the file first.
    pub detail: String,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be made here.
    Skipped,
}

/// A check that holds, or could not be made.
pub enum Held {
    /// It holds, in words.
    Yes(String),
    /// Why it could not be made.
    NotHere(String),
}

/// Checks so far; nothing more is to be made after one that failed.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    /// Notes how a check came out; `false`: it failed.
    fn add(&mut self, what: &'static str, result: Result<Held>) -> bool {
        let (verdict, detail) = match result {
            Ok(Held::Yes(detail)) => (Verdict::Passed, detail),
            Ok(Held::NotHere(detail)) => (Verdict::Skipped, detail),
            Err(error) => (Verdict::Failed, error.words()),
        };
        self.0.push(Check { what, verdict, detail });
        verdict != Verdict::Failed
    }
}

/// The checks of a run up to the first that fails.
pub fn audit(path: &Path, means: &Means, observer: &dyn Observer) -> Vec<Check> {
    let mut checks = Checks::default();
    let whole = checks.add("signature", sealed::signature(path, means))
        && checks.add("files", sealed::files(path))
        && checks.add("day before", sealed::previous(path, means));
    if whole && path.join(PLAN_FILE).is_file() {
        measured(path, means, &mut checks, observer);
    } else if whole {
        checks.add("weights", verdict::weights(path, means));
    }
    checks.0
}

/// The checks of a day on which something was measured.
fn measured(path: &Path, means: &Means, checks: &mut Checks, observer: &dyn Observer) {
    let folder = match RunFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => {
            checks.add("plan", Err(error));
            return;
        }
    };
    let _ = checks.add("plan", plan::drawn(&folder, means))
        && checks.add("candidates", verdict::candidates(&folder))
        && checks.add("log", recompute::log(&folder))
        && checks.add("pictures", recompute::pictures(&folder))
        && checks.add("quality", recompute::quality(&folder, means, observer))
        && checks.add("estimates, ranking, report", recompute::recomputed(&folder))
        && checks.add("weights", verdict::weights(path, means));
}
