//! The checks in the order in which one rests on the other.

use std::path::Path;

use edgemaxx_contract::day::DAY_FILE;
use edgemaxx_contract::joint::JOINT_FILE;
use edgemaxx_contract::run_files::{CONTEST_FILE, PLAN_FILE};
use edgemaxx_contract::weights::WEIGHTS_FILE;

use super::check::{Check, Checks, Means};
use super::{day, fetched, joint, plan, recompute, seal};
use crate::error::Result;
use crate::folder::RunFolder;
use crate::progress::Observer;

/// The checks of a run up to the first that fails.
pub fn audit(path: &Path, means: &Means, observer: &dyn Observer) -> Vec<Check> {
    let mut checks = Checks::default();
    let whole = checks.add("day", seal::day(path))
        && checks.add("signature", seal::signature(path, means))
        && checks.add("files", seal::files(path))
        && means.netuid.is_none_or(|netuid| checks.add("subnet", day::subnet(path, netuid)))
        && checks.add("day before", seal::previous(path, means));
    if whole && path.join(JOINT_FILE).is_file() {
        let _ = checks.add("contests", joint::contests(path))
            && checks.add("page", recompute::page(path, &[JOINT_FILE, WEIGHTS_FILE]));
    } else if whole && path.join(PLAN_FILE).is_file() {
        measured(path, means, &mut checks, observer);
    } else if whole {
        let _ = checks.add("candidates", day::nobody_measured(path))
            && checks.add("weights", day::weights(path, means))
            && path.join(DAY_FILE).is_file()
            && checks.add("page", recompute::page(path, &[CONTEST_FILE, DAY_FILE, WEIGHTS_FILE]));
    }
    checks.0
}

/// That what a validator's day says of submissions' files is so, by fetching them; paths are relative to `base`.
pub fn look_at_files(path: &Path, base: &Path, observer: &dyn Observer) -> Vec<Check> {
    let mut checks = Checks::default();
    checks.add("files of submissions", fetched::fetched(path, base, observer));
    checks.0
}

/// That a sealed run is signed as it must be, and whole: what lies there may be read then.
///
/// # Errors
/// The first that is not.
pub fn whole(path: &Path, means: &Means) -> Result<()> {
    seal::signature(path, means)?;
    seal::files(path).map(drop)
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
        && checks.add("candidates", day::candidates(&folder))
        && checks.add("log", recompute::log(&folder))
        && checks.add("answers", recompute::pictures(&folder))
        && checks.add("quality", recompute::quality(&folder, means, observer))
        && checks.add("stops", recompute::stops(&folder))
        && checks.add("estimates, ranking, report", recompute::recomputed(&folder))
        && checks.add("weights", day::weights(path, means));
}
