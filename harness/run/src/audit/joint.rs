//! A day of several contests together: its weights follow from those of its contests, whose days lie beside it.

use std::path::Path;

use edgemaxx_contract::joint::{JOINT_FILE, Joint, Part, check_shares};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest::{self, MANIFEST_FILE};
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
    let of_the_day = own.join(joint.day.to_string()).join(MANIFEST_FILE).is_file();
    let (day, named) = match (day, named) {
        (Some(day), Some(named)) => (day, *named),
        (None, None) if !of_the_day => return Ok(Ok(None)),
        (None, None) => return wrong(format!("contest {contest} is said never to have decided, and it has")),
        _ => return wrong(format!("contest {contest}: expected a day and its manifest, or neither")),
    };
    if *day > joint.day || (*day != joint.day && of_the_day) {
        return wrong(format!("contest {contest}: {day} is not the day that it decided"));
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
