//! A contest's day as a part of the day of all contests, whose weights are those on chain.

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::joint::{FETCHED_FOLDER, JOINT_FILE, Joint};
use edgemaxx_contract::weights::WEIGHTS_FILE;
use edgemaxx_seal::manifest;

use super::check::Held;
use super::day::document;
use super::joint;
use crate::error::{InFile as _, Result};

/// The day of all contests that a contest's day is a part of, where it lies here.
pub(super) fn of(run: &Path, day: &str) -> Result<Option<PathBuf>> {
    let run = run.canonicalize().in_file(run)?;
    let Some(beside) = run.parent() else { return Ok(None) };
    let places = [beside.parent().map(|root| root.join(day)), Some(beside.join(FETCHED_FOLDER).join(day))];
    Ok(places.into_iter().flatten().find(|folder| folder.join(JOINT_FILE).is_file()))
}

/// That the day of all contests at `folder`, of the same hotkey, counts the day with this manifest by this share.
pub(super) fn counts(folder: &Path, signer: Option<&str>, own: Digest, share: f64) -> Result<Held> {
    let (manifest, _) = manifest::read(folder)?;
    if manifest::check_signature(&manifest)? != signer {
        return joint::wrong("the day of all contests is signed by another hotkey".to_owned());
    }
    for name in [JOINT_FILE, WEIGHTS_FILE] {
        match manifest.file(name) {
            Some(file) => manifest::check_file(folder, file)?,
            None => return joint::wrong(format!("the day of all contests holds no {name}")),
        }
    }
    let joint: Joint = document(folder, JOINT_FILE)?;
    if !joint.contests.iter().any(|part| part.manifest == Some(own) && part.share == share) {
        return joint::wrong(format!("this day with its share of {share} is not among those that it counts"));
    }
    joint::contests(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use edgemaxx_contract::format::Document as _;
    use edgemaxx_contract::joint::Part;
    use edgemaxx_seal::Keypair;
    use edgemaxx_validator::joint::sum;
    use tempfile::TempDir;

    use super::*;
    use crate::audit::check::said;
    use crate::audit::example::{NETUID, all_to, key, write};

    const TODAY: &str = "2026-11-22";

    /// A contest's day that decides all weights, and the day of all contests that counts it.
    struct Days {
        home: TempDir,
        joint: Joint,
        own: Digest,
    }

    impl Days {
        fn of_one_contest() -> Self {
            let home = tempfile::tempdir().unwrap();
            let run = home.path().join("a").join(TODAY);
            fs::create_dir_all(&run).unwrap();
            let day: edgemaxx_contract::plan::Day = TODAY.parse().unwrap();
            let weights = all_to("x", &day, 1.0);
            write(&run, WEIGHTS_FILE, &weights);
            manifest::seal(&run, &day, None, Some(&key())).unwrap();
            let own = manifest::read(&run).unwrap().1;
            let part =
                Part { contest: "a".to_owned(), share: 1.0, day: Some(day.clone()), manifest: Some(own) };
            let joint = Joint {
                format: Joint::expected_format(),
                day,
                netuid: NETUID,
                validator: key().account().to_ss58(),
                since: None,
                contests: vec![part.clone()],
            };
            let days = Self { home, joint, own };
            write(&days.all(), WEIGHTS_FILE, &sum(&days.joint.day, &[(part, Some(weights))]));
            days.write_joint(&days.joint);
            days
        }

        fn contest(&self) -> PathBuf {
            self.home.path().join("a").join(TODAY)
        }

        /// The folder of the day of all contests.
        fn all(&self) -> PathBuf {
            let folder = self.home.path().join(TODAY);
            fs::create_dir_all(&folder).unwrap();
            folder
        }

        fn write_joint(&self, joint: &Joint) {
            write(&self.all(), JOINT_FILE, joint);
            self.seal(&key());
        }

        fn seal(&self, key: &Keypair) {
            manifest::seal(&self.all(), &self.joint.day, None, Some(key)).unwrap();
        }

        fn counted(&self, own: Digest, share: f64) -> (&'static str, String) {
            let signer = key().account().to_ss58();
            said(counts(&self.all(), Some(&signer), own, share))
        }
    }

    #[test]
    fn the_day_of_all_contests_lies_above_or_was_fetched_beside() {
        let days = Days::of_one_contest();
        let found = |home: &Path| {
            of(&days.contest(), TODAY)
                .unwrap()
                .map(|found| found.strip_prefix(home.canonicalize().unwrap()).unwrap().to_owned())
        };
        let home = days.home.path();
        assert_eq!(found(home), Some(TODAY.into()));
        let beside = home.join("a").join(FETCHED_FOLDER);
        fs::create_dir(&beside).unwrap();
        fs::rename(days.all(), beside.join(TODAY)).unwrap();
        assert_eq!(found(home), Some(Path::new("a").join(FETCHED_FOLDER).join(TODAY)));
        fs::remove_file(beside.join(TODAY).join(JOINT_FILE)).unwrap();
        assert_eq!(found(home), None);
    }

    #[test]
    fn a_day_counts_by_its_share_and_as_it_is_sealed() {
        let days = Days::of_one_contest();
        assert_eq!(days.counted(days.own, 1.0).0, "yes");
        let not_counted = |share: f64| {
            format!("joint.json: this day with its share of {share} is not among those that it counts")
        };
        assert_eq!(days.counted(Digest::of("other"), 1.0), ("no", not_counted(1.0)));
        assert_eq!(days.counted(days.own, 0.5), ("no", not_counted(0.5)));
        // By whom, and whole.
        days.seal(&Keypair::from_seed(&[2; 32]));
        let (verdict, words) = days.counted(days.own, 1.0);
        assert!(verdict == "no" && words.contains("is signed by another hotkey"), "{words}");
        days.seal(&key());
        for name in [JOINT_FILE, WEIGHTS_FILE] {
            let path = days.all().join(name);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text} ")).unwrap();
            let (verdict, words) = days.counted(days.own, 1.0);
            assert!(verdict == "no" && words.starts_with(name), "{words}");
            fs::write(&path, text).unwrap();
        }
        // What it counts must be so.
        let mut lie = days.joint.clone();
        lie.validator = "v".to_owned();
        days.write_joint(&lie);
        assert!(days.counted(days.own, 1.0).1.contains("the day of v, but signed by"));
        fs::remove_file(days.all().join(WEIGHTS_FILE)).unwrap();
        days.seal(&key());
        assert!(days.counted(days.own, 1.0).1.contains("holds no weights.json"));
    }
}
