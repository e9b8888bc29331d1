//! The seal: who signed, every file's bytes, the chain of days.

use std::path::{Path, PathBuf};

use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::WEIGHTS_FILE;
use edgemaxx_seal::manifest::{self, MANIFEST_FILE};

use super::check::{Held, Means};
use crate::error::{Class, InFile as _, Result, RunError};

/// The day is that whose name its folder has, where that is a day's.
pub(super) fn day(run: &Path) -> Result<Held> {
    let (manifest, _) = manifest::read(run)?;
    let named = run.canonicalize().in_file(run)?;
    let named = named.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Day>().ok());
    is_day(&manifest.day, named.as_ref())?;
    Ok(Held::Yes(manifest.day.to_string()))
}

/// Refuses another day than was asked for.
pub(super) fn is_day(found: &Day, asked: Option<&Day>) -> Result<()> {
    match asked.filter(|asked| *asked != found) {
        None => Ok(()),
        Some(asked) => Err(RunError::of(
            Class::No,
            format!(
                "{MANIFEST_FILE}: of the day {found}, which is shown as {asked}: an older day proves nothing of a newer one"
            ),
        )),
    }
}

/// The manifest is spelled as written, and signed by who it says.
pub(super) fn signature(run: &Path, means: &Means) -> Result<Held> {
    let (manifest, digest) = manifest::read(run)?;
    match (manifest::check_signature(&manifest)?, &means.hotkey) {
        (Some(signer), Some(expected)) if signer != expected => {
            Err(RunError::input(format!("{MANIFEST_FILE}: signed by {signer}, not by {expected}")))
        }
        (Some(signer), Some(_)) => Ok(Held::Yes(format!("{}, signed by {signer}", digest.short()))),
        (Some(signer), None) => Ok(Held::Yes(format!(
            "{}, signed by {signer}; whether that is the right one, --hotkey says",
            digest.short()
        ))),
        (None, _) if means.allow_unsigned => {
            Ok(Held::NotHere(format!("{}, signed by nobody", digest.short())))
        }
        (None, _) => Err(RunError::input(
            "manifest.json: signed by nobody; anybody may have written it (--allow-unsigned checks the rest)",
        )),
    }
}

/// Every sealed file is there, byte for byte.
pub(super) fn files(run: &Path) -> Result<Held> {
    let (manifest, _) = manifest::read(run)?;
    manifest::check_files(run, &manifest)?;
    Ok(Held::Yes(format!("{} files, byte for byte", manifest.files.len())))
}

/// The day before is the one that this day names.
pub(super) fn previous(run: &Path, means: &Means) -> Result<Held> {
    let (manifest, _) = manifest::read(run)?;
    let Some(named) = &manifest.previous else {
        if let Some(previous) = &means.previous {
            manifest::check_previous(&manifest, previous)?;
        }
        return Ok(Held::Yes("the first of its chain".to_owned()));
    };
    match previous_folder(run, means, &named.day.to_string()) {
        Some(previous) => {
            manifest::check_previous(&manifest, &previous)?;
            // Today's weights may be those of that day.
            if let Some(weights) = manifest::read(&previous)?.0.file(WEIGHTS_FILE) {
                manifest::check_file(&previous, weights)
                    .map_err(|error| RunError::input(format!("{}/{error}", named.day)))?;
            }
            Ok(Held::Yes(format!("follows {} of {}", named.manifest.short(), named.day)))
        }
        None => Ok(Held::NotHere(format!(
            "names {} of {}, which is not beside this run; show it with --previous",
            named.manifest.short(),
            named.day
        ))),
    }
}

/// Where the day before lies: as named, or beside this run under its day.
pub(super) fn previous_folder(run: &Path, means: &Means, day: &str) -> Option<PathBuf> {
    let beside = || {
        let folder = run.canonicalize().ok()?.parent()?.join(day);
        folder.join(MANIFEST_FILE).is_file().then_some(folder)
    };
    means.previous.clone().or_else(beside)
}

#[cfg(test)]
mod tests {
    use edgemaxx_seal::Keypair;
    use edgemaxx_seal::manifest::PreviousDay;
    use edgemaxx_seal::sign::Signer;

    use super::*;
    use crate::audit::check;

    #[test]
    fn an_older_day_is_not_taken_for_a_newer_one() {
        let [older, newer]: [Day; 2] = ["2026-11-21", "2026-11-22"].map(|day| day.parse().unwrap());
        assert!(is_day(&older, None).is_ok() && is_day(&older, Some(&older)).is_ok());
        let error = is_day(&older, Some(&newer)).unwrap_err();
        assert!(
            error.class() == Class::No && error.words().contains("of the day 2026-11-21, which is shown as")
        );
    }

    #[test]
    fn a_run_is_signed_by_whom_it_should_be() {
        let key = |seed| Keypair::from_seed(&[seed; 32]);
        let said = |signer: Option<&Keypair>, expected: Option<&Keypair>, allow_unsigned: bool| {
            let run = tempfile::tempdir().unwrap();
            std::fs::write(run.path().join("a"), "a").unwrap();
            let day = "2026-11-22".parse().unwrap();
            manifest::seal(run.path(), &day, None, signer.map(|key| key as &dyn Signer)).unwrap();
            let hotkey = expected.map(|key| key.account().to_ss58());
            let means = Means { previous: None, base: None, hotkey, netuid: None, allow_unsigned };
            check::said(signature(run.path(), &means))
        };
        let (one, other) = (key(1), key(2));
        for (signer, expected, allowed, verdict, words) in [
            (Some(&one), Some(&one), false, "yes", "signed by 5"),
            (Some(&one), None, false, "yes", "whether that is the right one, --hotkey says"),
            (Some(&one), Some(&other), true, "no", "not by 5"),
            (None, None, true, "not here", "signed by nobody"),
            (None, None, false, "no", "anybody may have written it"),
        ] {
            let found = said(signer, expected, allowed);
            assert!(found.0 == verdict && found.1.contains(words), "{verdict} {words}: {found:?}");
        }
    }

    #[test]
    fn the_day_before_lies_beside_or_where_it_is_shown_and_is_the_one_that_is_named() {
        let home = tempfile::tempdir().unwrap();
        let sealed = |below: &str, day: &str, weights: &str, previous: Option<PreviousDay>| {
            let folder = home.path().join(below).join(day);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(WEIGHTS_FILE), weights).unwrap();
            manifest::seal(&folder, &day.parse().unwrap(), previous, None).unwrap();
            folder
        };
        let named = |folder: &Path| {
            let (manifest, digest) = manifest::read(folder).unwrap();
            PreviousDay { day: manifest.day, manifest: digest }
        };
        let said = |run: &Path, shown: Option<&Path>| {
            let shown = shown.map(Path::to_owned);
            let means =
                Means { previous: shown, base: None, hotkey: None, netuid: None, allow_unsigned: true };
            check::said(previous(run, &means))
        };
        let first = sealed("a", "2026-11-21", "one", None);
        let run = sealed("a", "2026-11-22", "two", Some(named(&first)));
        let follows = format!("follows {} of 2026-11-21", named(&first).manifest.short());
        assert_eq!(said(&run, None), ("yes", follows.clone()));
        assert_eq!(said(&first, None), ("yes", "the first of its chain".to_owned()));
        let other = sealed("b", "2026-11-21", "another", None);
        for (run, shown, verdict, words) in
            [(&run, Some(&other), "no", "follows "), (&first, Some(&other), "no", "names no day before")]
        {
            let found = said(run, shown.map(|path| path.as_path()));
            assert!(found.0 == verdict && found.1.contains(words), "{found:?}");
        }
        std::fs::write(first.join(WEIGHTS_FILE), "changed").unwrap();
        let found = said(&run, None);
        assert!(found.0 == "no" && found.1.starts_with("2026-11-21/weights.json"), "{found:?}");
        std::fs::write(first.join(WEIGHTS_FILE), "one").unwrap();
        let elsewhere = home.path().join("elsewhere");
        std::fs::rename(&first, &elsewhere).unwrap();
        assert!(said(&run, None).1.contains("which is not beside this run; show it with --previous"));
        assert_eq!(said(&run, Some(&elsewhere)), ("yes", follows));
    }
}
