//! Auditing a sealed run: every check by itself, in the order in which one rests on the other.

mod again;
mod derived;
mod plan;
mod sealed;
mod verdict;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) use again::{
    Agreement, Extract, Likeness, agreement, compare_pictures, extract, least_ssim, measure_again,
};

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

/// The checks of a run up to the first that fails.
pub(crate) fn audit(path: &Path, means: &Means) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |what: &'static str, result: anyhow::Result<Held>| {
        let (verdict, detail) = match result {
            Ok(Held::Yes(detail)) => (Verdict::Passed, detail),
            Ok(Held::NotHere(detail)) => (Verdict::Skipped, detail),
            Err(error) => (Verdict::Failed, format!("{error:#}")),
        };
        checks.push(Check { what, verdict, detail });
        verdict != Verdict::Failed
    };
    let whole = check("signature", sealed::signature(path, means))
        && check("files", sealed::files(path))
        && check("day before", sealed::previous(path, means));
    if whole && path.join("plan.json").is_file() {
        measured(path, means, &mut check);
    } else if whole {
        check("weights", verdict::weights(path, means));
    }
    checks
}

/// The checks of a day on which something was measured.
fn measured(path: &Path, means: &Means, check: &mut impl FnMut(&'static str, anyhow::Result<Held>) -> bool) {
    let folder = match RunFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => {
            check("plan", Err(error));
            return;
        }
    };
    let _ = check("plan", plan::drawn(&folder, means))
        && check("candidates", verdict::candidates(&folder))
        && check("log", derived::log(&folder))
        && check("pictures", derived::pictures(&folder))
        && check("quality", derived::quality(&folder, means))
        && check("estimates, ranking, report", derived::recomputed(&folder))
        && check("weights", verdict::weights(path, means));
}
