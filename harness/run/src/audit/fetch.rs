//! A published day from a static site: the manifest, then exactly the files that it lists.

use std::path::{Path, PathBuf};
use std::time::Duration;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::{FETCHED_FOLDER, JOINT_FILE, Joint, check_shares};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_files::write_whole;
use edgemaxx_hub::{Fetched, HubError, Patience, Site, Step};
use edgemaxx_seal::manifest::{self, MANIFEST_FILE, MOST_MANIFEST, Manifest};

use super::check::Means;
use super::seal;
use crate::error::{InFile as _, Result, RunError};
use crate::hub::Watch;
use crate::progress::Observer;

/// Fetches the day at `address` into a folder named by its day below `into`, and beside it as much of the day
/// before as the chain of days needs, where the site has that. What is not as the manifest says ends the
/// fetching: the audit finds and names it. Files that are there already are not fetched again.
///
/// # Errors
/// When the site cannot be reached or holds no sealed day there, or the day has more than `most` bytes.
pub fn fetch(
    address: &str,
    into: &Path,
    most: u64,
    means: &Means,
    observer: &dyn Observer,
) -> Result<PathBuf> {
    let folder = ["/manifest.json", "/index.html", "/report.html"]
        .iter()
        .find_map(|name| address.strip_suffix(name))
        .unwrap_or(address)
        .trim_end_matches('/');
    let site = site(folder)?;
    let text = site.read(MANIFEST_FILE, MOST_MANIFEST)?.ok_or_else(|| {
        RunError::input(format!(
            "{folder}: no {MANIFEST_FILE} there; expected the address of a sealed day, \
             such as https://example.org/days/2026-11-22"
        ))
    })?;
    let parsed = std::str::from_utf8(&text).ok().and_then(|text| Manifest::from_json(text).ok());
    if let (Some(manifest), Some((_, last))) = (&parsed, folder.rsplit_once('/')) {
        seal::is_day(&manifest.day, last.parse().ok().as_ref())?;
    }
    let name = parsed.as_ref().map_or("unreadable".to_owned(), |manifest| manifest.day.to_string());
    let run = into.join(name);
    write(&run, &text)?;
    // Nothing is fetched on the word of a manifest that nobody stands for.
    if seal::signature(&run, means).is_err() {
        return Ok(run);
    }
    let (manifest, _) = manifest::read(&run)?;
    let total = manifest.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
    if total > most {
        return Err(RunError::input(format!(
            "{folder}: the day has {:.1} GiB; --max-gib allows for {:.1}",
            gib(total),
            gib(most)
        )));
    }
    let mut watch = Watch::new(observer);
    watch.step(Step::Begin { what: "download", bytes: total });
    for file in &manifest.files {
        if !manifest::is_of_a_run(&file.path) {
            return Ok(run);
        }
        watch.step(Step::File(&file.path));
        let target = run.join(&file.path);
        let promised = (file.bytes, file.digest);
        let fetched = site.fetch(&file.path, promised, &target, &mut |n| watch.step(Step::Bytes(n)))?;
        if fetched != Fetched::Whole {
            return Ok(run);
        }
    }
    watch.end();
    if let (Some(named), Some((days, _))) = (&manifest.previous, folder.rsplit_once('/')) {
        let day = named.day.to_string();
        let before = into.join(&day);
        if means.previous.is_none() && !before.join(MANIFEST_FILE).exists() {
            some(&format!("{days}/{day}"), &before, &[WEIGHTS_FILE])?;
        }
    }
    let above = |address: &str| address.rsplit_once('/').map(|(above, _)| above.to_owned());
    match (run.join(JOINT_FILE).is_file(), above(folder)) {
        (true, Some(root)) => contests(&root, &run, into)?,
        (false, Some(days)) if is_part(&run) => {
            // The day of all contests lies above the contest's days.
            let (Some(root), into) = (above(&days), into.join(FETCHED_FOLDER)) else { return Ok(run) };
            let day = manifest.day.to_string();
            some(&format!("{root}/{day}"), &into.join(&day), &[JOINT_FILE, WEIGHTS_FILE])?;
            contests(&root, &into.join(&day), &into)?;
        }
        _ => {}
    }
    Ok(run)
}

/// Whether the weights of the day in `run` are a part of those of several contests.
fn is_part(run: &Path) -> bool {
    let text = std::fs::read_to_string(run.join(WEIGHTS_FILE)).unwrap_or_default();
    Weights::from_json(&text).is_ok_and(|weights| weights.share.is_some())
}

/// As much of the contests' days as the day of all of them in `joint` needs, from the site at `root`.
fn contests(root: &str, joint: &Path, into: &Path) -> Result<()> {
    let text = std::fs::read_to_string(joint.join(JOINT_FILE)).unwrap_or_default();
    let Ok(found) = Joint::from_json(&text) else { return Ok(()) };
    let named = found.contests.iter().map(|part| (part.contest.as_str(), part.share));
    // Names that lead elsewhere are none.
    if check_shares(named).is_err() {
        return Ok(());
    }
    for part in &found.contests {
        // The day itself, too, where another is named.
        for day in [Some(&found.day), part.day.as_ref()].into_iter().flatten() {
            let place = into.join(&part.contest).join(day.to_string());
            if !place.join(MANIFEST_FILE).exists() {
                some(&format!("{root}/{}/{day}", part.contest), &place, &[WEIGHTS_FILE])?;
            }
        }
    }
    Ok(())
}

/// A site that is asked a few times, not for minutes: somebody waits for the answer.
fn site(address: &str) -> Result<Site, HubError> {
    Site::new(address, Patience { attempts: 3, read: Duration::from_secs(30), ..Patience::default() })
}

/// The manifest and some small files of another day, if they lie there; without them the audit says what it lacks.
fn some(address: &str, into: &Path, names: &[&str]) -> Result<()> {
    let Ok(site) = site(address) else { return Ok(()) };
    let Ok(Some(text)) = site.read(MANIFEST_FILE, MOST_MANIFEST) else { return Ok(()) };
    let parsed = std::str::from_utf8(&text).ok().and_then(|text| Manifest::from_json(text).ok());
    for name in names {
        let file = parsed.as_ref().and_then(|manifest| manifest.file(name));
        if let Some(file) = file.filter(|file| file.bytes <= MOST_MANIFEST) {
            site.fetch(name, (file.bytes, file.digest), &into.join(name), &mut |_| {})?;
        }
    }
    write(into, &text)
}

fn write(folder: &Path, manifest: &[u8]) -> Result<()> {
    let path = folder.join(MANIFEST_FILE);
    std::fs::create_dir_all(folder).in_file(folder)?;
    write_whole(&path, manifest).in_file(&path)
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}
