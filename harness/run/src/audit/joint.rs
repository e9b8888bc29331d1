//! A day of several contests together: its weights follow from those of its contests, whose days lie beside it.

use std::path::Path;

use edgemaxx_contract::joint::{JOINT_FILE, Joint, Part, check_shares};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest::{self, MANIFEST_FILE, sealed_days};
use edgemaxx_validator::joint::sum;

use super::check::Held;
use super::day::document;
use crate::error::{InFile as _, Result, RunError};

/// What is wrong with the day of all contests.
pub(super) fn wrong<T>(problem: String) -> Result<T> {
    Err(RunError::input(format!("{JOINT_FILE}: {problem}")))
}

/// The weights are those of the contests' days, each by its share.
pub(super) fn contests(run: &Path) -> Result<Held> {
    let joint: Joint = document(run, JOINT_FILE)?;
    let (manifest, _) = manifest::read(run)?;
    if joint.day != manifest.day {
        return wrong(format!("of the day {}, but sealed as {}", joint.day, manifest.day));
    }
    if let Some(signature) = manifest.signature.filter(|signature| signature.hotkey != joint.validator) {
        return wrong(format!("the day of {}, but signed by {}", joint.validator, signature.hotkey));
    }
    let shares = joint.contests.iter().map(|part| (part.contest.as_str(), part.share));
    check_shares(shares).map_err(|error| RunError::input(format!("{JOINT_FILE}: {error}")))?;
    let root = run.canonicalize().in_file(run)?;
    let root = root.parent().unwrap_or(&root);
    let mut parts = Vec::new();
    for part in &joint.contests {
        match decided(root, &joint, part)? {
            Ok(weights) => parts.push((part.clone(), weights)),
            Err(lacking) => return Ok(Held::Unknown(lacking)),
        }
    }
    let (decided, published): (Weights, Weights) = (sum(&joint.day, &parts), document(run, WEIGHTS_FILE)?);
    if decided != published {
        return Err(RunError::input(format!(
            "{WEIGHTS_FILE}: not what the days of its contests make of them: {}",
            decided.reason
        )));
    }
    Ok(Held::Yes(format!("{} hotkeys: {}", published.entries.len(), published.reason)))
}

/// The weights of one contest's day, which is signed by the same hotkey; or what is missing.
fn decided(root: &Path, joint: &Joint, part: &Part) -> Result<std::result::Result<Option<Weights>, String>> {
    let Part { contest, share, day, manifest: named } = part;
    let own = root.join(contest);
    // What it decided about the day, or, where it passed over that, about the last one before.
    let last = sealed_days(&own).into_iter().rfind(|sealed| *sealed <= joint.day);
    let (day, named) = match (day, named) {
        (Some(day), Some(named)) => (day, *named),
        (None, None) if last.is_none() => return Ok(Ok(None)),
        (None, None) => return wrong(format!("contest {contest} is said never to have decided, and it has")),
        _ => return wrong(format!("contest {contest}: expected a day and its manifest, or neither")),
    };
    if *day > joint.day || last.is_some_and(|last| last > *day) {
        return wrong(format!("contest {contest}: {day} is not the last day that it decided"));
    }
    let folder = own.join(day.to_string());
    if !folder.join(MANIFEST_FILE).is_file() {
        return Ok(Err(format!(
            "its weights are in part those of {contest}/{day}, which is not beside this day; have it there"
        )));
    }
    let (manifest, found) = manifest::read(&folder)?;
    if found != named {
        return wrong(format!("names {} of {contest}/{day}, which is {}", named.short(), found.short()));
    }
    if manifest::check_signature(&manifest)? != Some(joint.validator.as_str()) {
        return wrong(format!("{contest}/{day} is not signed by {}", joint.validator));
    }
    let Some(file) = manifest.file(WEIGHTS_FILE) else {
        return wrong(format!("{contest}/{day} holds no {WEIGHTS_FILE}"));
    };
    manifest::check_file(&folder, file)
        .map_err(|error| RunError::input(format!("{contest}/{day}/{error}")))?;
    let weights: Weights = document(&folder, WEIGHTS_FILE)?;
    if weights.share != Some(*share) {
        return wrong(format!("contest {contest} has a share of {share}, and its day says another"));
    }
    Ok(Ok(Some(weights)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::format::Document as _;
    use edgemaxx_contract::plan::Day;
    use edgemaxx_contract::weights::entries;
    use edgemaxx_seal::Keypair;

    use super::*;
    use crate::audit::check;
    use crate::audit::example::{all_to, write};

    const TODAY: &str = "2026-11-22";
    const BEFORE: &str = "2026-11-20";

    fn key(seed: u8) -> Keypair {
        Keypair::from_seed(&[seed; 32])
    }

    fn sealed(folder: &Path, day: &Day, seed: u8) -> Digest {
        let _ = fs::remove_file(folder.join(MANIFEST_FILE));
        manifest::seal(folder, day, None, Some(&key(seed))).unwrap();
        manifest::read(folder).unwrap().1
    }

    /// Seals a day of a contest on which all of its half goes to `hotkey`.
    fn decides(root: &Path, contest: &str, day: &str, hotkey: &str, seed: u8) -> Digest {
        let folder = root.join(contest).join(day);
        fs::create_dir_all(&folder).unwrap();
        let day: Day = day.parse().unwrap();
        write(&folder, WEIGHTS_FILE, &all_to(hotkey, &day, 0.5));
        sealed(&folder, &day, seed)
    }

    /// Contest `a` decided today and before, `b` before only.
    fn decided_by_two(root: &Path) -> Joint {
        decides(root, "a", BEFORE, "x", 1);
        let part = |contest: &str, day: &str, manifest| Part {
            contest: contest.to_owned(),
            share: 0.5,
            day: Some(day.parse().unwrap()),
            manifest: Some(manifest),
        };
        Joint {
            format: Joint::expected_format(),
            day: TODAY.parse().unwrap(),
            netuid: 39,
            validator: key(1).account().to_ss58(),
            since: None,
            contests: vec![
                part("a", TODAY, decides(root, "a", TODAY, "y", 1)),
                part("b", BEFORE, decides(root, "b", BEFORE, "z", 1)),
            ],
        }
    }

    /// What an auditor says of a day of both that is sealed today.
    fn said(root: &Path, joint: &Joint) -> (&'static str, String) {
        let run = root.join(TODAY);
        fs::create_dir_all(&run).unwrap();
        let of = |part: &Part| {
            let folder = root.join(&part.contest).join(part.day.as_ref()?.to_string());
            document::<Weights>(&folder, WEIGHTS_FILE).ok()
        };
        let parts: Vec<_> = joint.contests.iter().map(|part| (part.clone(), of(part))).collect();
        fs::write(run.join(WEIGHTS_FILE), sum(&joint.day, &parts).to_json()).unwrap();
        fs::write(run.join(JOINT_FILE), joint.to_json()).unwrap();
        sealed(&run, &TODAY.parse().unwrap(), 1);
        check::said(contests(&run))
    }

    #[test]
    fn a_day_of_several_contests_names_the_last_that_each_decided() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        let good = decided_by_two(root);
        let (verdict, words) = said(root, &good);
        assert!(verdict == "yes" && words.starts_with("2 hotkeys: "), "{words}");
        type Change = fn(&mut Joint);
        let lies: [(&str, Change); 9] = [
            ("of the day 2026-11-21, but sealed as 2026-11-22", |of| of.day = "2026-11-21".parse().unwrap()),
            ("the day of v, but signed by", |of| of.validator = "v".to_owned()),
            ("shares", |of| of.contests[0].share = 0.4),
            ("contest a: 2026-11-20 is not the last day that", |of| {
                of.contests[0].day = of.contests[1].day.clone()
            }),
            ("contest a: 2026-11-23 is not the last day that", |of| {
                of.contests[0].day = Some("2026-11-23".parse().unwrap());
            }),
            ("contest b is said never to have decided", |of| {
                (of.contests[1].day, of.contests[1].manifest) = (None, None);
            }),
            ("contest b: expected a day and its manifest", |of| of.contests[1].manifest = None),
            ("names ", |of| of.contests[0].manifest = of.contests[1].manifest),
            ("contest a has a share of 0.25, and", |of| {
                (of.contests[0].share, of.contests[1].share) = (0.25, 0.75);
            }),
        ];
        for (expected, change) in lies {
            let mut lie = good.clone();
            change(&mut lie);
            let (verdict, words) = said(root, &lie);
            assert!(verdict == "no" && words.contains(expected), "{expected}: {words}");
        }
        // Who has never decided anything has no day, and then nobody is paid.
        let mut with_new = good.clone();
        with_new.contests[1] = Part { contest: "new".to_owned(), share: 0.5, day: None, manifest: None };
        let (verdict, words) = said(root, &with_new);
        assert!(verdict == "yes" && words.starts_with("0 hotkeys: "), "{words}");
        // A later day changes nothing; one between is what should have been named.
        decides(root, "b", "2026-11-23", "w", 1);
        assert_eq!(said(root, &good).0, "yes");
        decides(root, "b", "2026-11-21", "w", 1);
        assert!(said(root, &good).1.contains("contest b: 2026-11-20 is not the last day"));
        // What is not here cannot be told.
        fs::remove_dir_all(root.join("b")).unwrap();
        let (verdict, words) = said(root, &good);
        assert!(verdict == "unknown" && words.contains("b/2026-11-20, which is not beside"), "{words}");
    }

    #[test]
    fn the_weights_are_the_sum_of_days_that_the_same_hotkey_signed() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        let mut joint = decided_by_two(root);
        assert_eq!(said(root, &joint).0, "yes");
        let run = root.join(TODAY);
        let mut weights: Weights = document(&run, WEIGHTS_FILE).unwrap();
        weights.entries = entries([("y".to_owned(), 1.0)]);
        fs::write(run.join(WEIGHTS_FILE), weights.to_json()).unwrap();
        sealed(&run, &joint.day, 1);
        assert!(check::said(contests(&run)).1.contains("not what the days of its contests make of them"));
        // Another's file, and another's signature.
        let theirs = root.join("a").join(TODAY).join(WEIGHTS_FILE);
        let before = fs::read(&theirs).unwrap();
        fs::write(&theirs, "{}").unwrap();
        assert!(said(root, &joint).1.contains("a/2026-11-22/"));
        fs::write(&theirs, before).unwrap();
        joint.contests[0].manifest = Some(decides(root, "a", TODAY, "y", 2));
        assert!(said(root, &joint).1.contains("a/2026-11-22 is not signed by"));
    }
}
