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

#[cfg(test)]
mod tests {
    use std::fs;

    use edgemaxx_contract::format::Document as _;
    use edgemaxx_contract::joint::{Joint, Part};
    use edgemaxx_contract::run_files::RANKING_FILE;
    use edgemaxx_seal::manifest;
    use edgemaxx_validator::joint::sum;
    use tempfile::TempDir;

    use super::*;
    use crate::audit::Verdict::{self, Failed, Passed, Skipped};
    use crate::audit::example::{NETUID, decide, key, record, seal, write};
    use crate::example::published;
    use crate::progress::Silent;
    use crate::stage::report::{report_day, report_run};

    const MEANS: Means =
        Means { previous: None, base: None, hotkey: None, netuid: Some(NETUID), allow_unsigned: false };

    /// What is checked of every sealed day, before anything in it is read.
    const OF_ITS_SEAL: [(&str, Verdict); 5] = [
        ("day", Passed),
        ("signature", Passed),
        ("files", Passed),
        ("subnet", Passed),
        ("day before", Passed),
    ];

    /// What an audit checks of a day, and how it comes out.
    fn found(day: &Path) -> Vec<(&'static str, Verdict)> {
        audit(day, &MEANS, &Silent).into_iter().map(|check| (check.what, check.verdict)).collect()
    }

    fn after_its_seal(checks: &[(&'static str, Verdict)]) -> Vec<(&'static str, Verdict)> {
        [&OF_ITS_SEAL, checks].concat()
    }

    /// A day as its validator leaves it: measured, decided, reported, sealed.
    fn day() -> (TempDir, RunFolder) {
        let (place, folder) = published();
        write(place.path(), DAY_FILE, &record(&folder.plan().unwrap()));
        decide(place.path(), None, None);
        report_run(&folder).unwrap();
        seal(place.path(), None);
        (place, folder)
    }

    #[test]
    fn a_measured_day_is_checked_from_its_seal_to_its_weights() {
        let (place, folder) = day();
        // The judging models are not beside it.
        let whole_day = after_its_seal(&[
            ("plan", Passed),
            ("candidates", Passed),
            ("log", Passed),
            ("answers", Passed),
            ("quality", Skipped),
            ("stops", Passed),
            ("estimates, ranking, report", Passed),
            ("weights", Passed),
        ]);
        assert_eq!(found(place.path()), whole_day);
        assert!(whole(place.path(), &MEANS).is_ok());
        let other = Means { netuid: Some(NETUID + 1), ..MEANS };
        let of_another: Vec<_> = audit(place.path(), &other, &Silent);
        let last = of_another.last().unwrap();
        assert_eq!((of_another.len(), last.what, last.verdict), (4, "subnet", Failed));
        // Nothing is asked of what rests on something that does not hold.
        let mut weights = decide(place.path(), None, None);
        weights.reason.push('!');
        write(place.path(), WEIGHTS_FILE, &weights);
        report_run(&folder).unwrap();
        seal(place.path(), None);
        let mut lie = whole_day.clone();
        lie[12].1 = Failed;
        assert_eq!(found(place.path()), lie);
        let mut record = record(&folder.plan().unwrap());
        record.day = "2030-01-01".parse().unwrap();
        write(place.path(), DAY_FILE, &record);
        seal(place.path(), None);
        assert_eq!(found(place.path()), after_its_seal(&[("plan", Passed), ("candidates", Failed)]));
        fs::write(place.path().join(PLAN_FILE), "{}").unwrap();
        seal(place.path(), None);
        assert_eq!(found(place.path()), after_its_seal(&[("plan", Failed)]));
        // Nor is anything read that is not what was sealed.
        fs::write(place.path().join(WEIGHTS_FILE), "{}").unwrap();
        assert_eq!(found(place.path()), [("day", Passed), ("signature", Passed), ("files", Failed)]);
        assert!(whole(place.path(), &MEANS).is_err());
        manifest::seal(place.path(), &record.day, None, None).unwrap();
        assert_eq!(found(place.path()), [("day", Passed), ("signature", Failed)]);
        assert!(whole(place.path(), &MEANS).is_err());
    }

    #[test]
    fn a_day_on_which_nothing_was_measured_is_checked_by_what_it_says() {
        let (place, folder) = day();
        let path = place.path();
        let mut record = record(&folder.plan().unwrap());
        record.submissions.clear();
        write(path, DAY_FILE, &record);
        for name in [PLAN_FILE, RANKING_FILE] {
            fs::remove_file(path.join(name)).unwrap();
        }
        decide(path, None, None);
        report_day(path).unwrap();
        seal(path, None);
        let checked = after_its_seal(&[("candidates", Passed), ("weights", Passed), ("page", Passed)]);
        assert_eq!(found(path), checked);
        let of_files = look_at_files(path, path, &Silent);
        let [of_files] = of_files.as_slice() else { panic!("{of_files:?}") };
        assert_eq!((of_files.what, of_files.verdict), ("files of submissions", Passed));
        fs::write(path.join("report.html"), "a page").unwrap();
        seal(path, None);
        let lie = after_its_seal(&[("candidates", Passed), ("weights", Passed), ("page", Failed)]);
        assert_eq!(found(path), lie);
        // What nobody measured and no validator decided says nothing.
        for name in [DAY_FILE, WEIGHTS_FILE] {
            fs::remove_file(path.join(name)).unwrap();
        }
        manifest::seal(path, &record.day, None, Some(&key())).unwrap();
        let means = Means { netuid: None, ..MEANS };
        let checks = audit(path, &means, &Silent);
        let rest: Vec<_> = checks[4..].iter().map(|check| (check.what, check.verdict)).collect();
        assert_eq!(rest, [("candidates", Skipped), ("weights", Skipped)]);
    }

    #[test]
    fn a_day_of_all_contests_is_checked_by_the_days_of_its_contests() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("2026-11-22");
        fs::create_dir(&path).unwrap();
        let mut joint = Joint {
            format: Joint::expected_format(),
            day: "2026-11-22".parse().unwrap(),
            netuid: NETUID,
            validator: key().account().to_ss58(),
            since: None,
            contests: vec![Part { contest: "new".to_owned(), share: 1.0, day: None, manifest: None }],
        };
        let decide = |joint: &Joint| {
            let parts: Vec<_> = joint.contests.iter().map(|part| (part.clone(), None)).collect();
            write(&path, JOINT_FILE, joint);
            write(&path, WEIGHTS_FILE, &sum(&joint.day, &parts));
            report_day(&path).unwrap();
            manifest::seal(&path, &joint.day, None, Some(&key())).unwrap();
            found(&path)
        };
        assert_eq!(decide(&joint), after_its_seal(&[("contests", Passed), ("page", Passed)]));
        joint.validator = "v".to_owned();
        assert_eq!(decide(&joint), after_its_seal(&[("contests", Failed)]));
        let elsewhere = place.path().join("2026-11-23");
        fs::rename(&path, &elsewhere).unwrap();
        assert_eq!(found(&elsewhere), [("day", Failed)], "an older day is no newer one");
    }
}
