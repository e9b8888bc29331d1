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
