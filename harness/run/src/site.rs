//! Many runs as a static site: from a folder of runs, or in the folder that days are published to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::run_files::{REPORT_FILE, SAMPLES_FILE, SUMMARY_FILE, of_lane};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_files::write_whole;
use edgemaxx_report::{Evidence, HistoryRun, QuietDay, Summary, history};

use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::progress::Observer;
use crate::quoted::quoted;
use crate::stage::report::evidence;
use crate::text_file::{read_text, read_text_if_there};

/// Marks a folder as ours to write into.
pub const SITE_FILE: &str = "history.json";

/// Writes the site's own files into `out`, each as a whole.
///
/// # Errors
/// A file cannot be written.
pub fn write(runs: &[HistoryRun], quiet: &[QuietDay], out: &Path) -> Result<()> {
    for file in history(runs, quiet)? {
        let path = out.join(&file.path);
        write_whole(&path, file.text.as_bytes()).in_file(&path)?;
    }
    Ok(())
}

/// Makes the folder that days are published to a site that can be served as it is: an `index.html` that links each
/// day's own page, those of days on which nothing was measured, too. The number of days listed.
///
/// # Errors
/// The folder cannot be read or written, or a day in it says what is no day.
pub fn index(published: &Path, observer: &dyn Observer) -> Result<usize> {
    let (blocks, mut runs) = (weights_blocks(published)?, Vec::new());
    let found = find_runs(published, observer)?;
    let mut evidence = evidence_of_last(&found, observer);
    for (folder, summary) in found {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.parse::<Day>().is_ok() {
            let report = folder.join(REPORT_FILE).is_file().then(|| format!("{name}/report.html"));
            runs.push(HistoryRun {
                summary,
                report,
                weights_block: blocks.get(&name).copied(),
                evidence: evidence.remove(&folder),
            });
        }
    }
    let quiet = quiet_days(published, &blocks)?;
    let foreign = published.join("index.html").exists() && !published.join(SITE_FILE).exists();
    if foreign {
        observer.note(&format!("{}: holds an index.html that is not ours; it stays", published.display()));
    } else if !runs.is_empty() || !quiet.is_empty() {
        write(&runs, &quiet, published)?;
    }
    Ok(runs.len() + quiet.len())
}

/// What the front page shows of each contest's last run, by the run's folder; a run of which only the summary is there
/// shows its numbers alone.
pub fn evidence_of_last(
    found: &[(PathBuf, Summary)],
    observer: &dyn Observer,
) -> BTreeMap<PathBuf, Evidence> {
    let mut last: BTreeMap<&str, &(PathBuf, Summary)> = BTreeMap::new();
    for run in found {
        let key = |(_, summary): &(PathBuf, Summary)| (summary.day.clone(), summary.samples);
        let known = last.entry(&run.1.contest).or_insert(run);
        if key(known) < key(run) {
            *known = run;
        }
    }
    let whole = last.into_values().filter(|(folder, _)| is_measured(folder));
    whole
        .filter_map(|(folder, _)| match RunFolder::open(folder).and_then(|run| evidence(&run)) {
            Ok(evidence) => Some((folder.clone(), evidence)),
            Err(error) => {
                observer.note(&format!("warning: {error}; the front page shows no answers of this run"));
                None
            }
        })
        .collect()
}

/// Whether a folder holds samples, and not their summary alone.
fn is_measured(folder: &Path) -> bool {
    [SAMPLES_FILE.to_owned(), of_lane(0, SAMPLES_FILE)].iter().any(|name| folder.join(name).is_file())
}

/// The days below `published` on which nothing was measured, or that are of several contests together, in order.
fn quiet_days(published: &Path, blocks: &BTreeMap<String, u64>) -> Result<Vec<QuietDay>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(published).in_file(published)? {
        let folder = entry.in_file(published)?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_page = folder.join(REPORT_FILE).is_file() && !folder.join(SUMMARY_FILE).exists();
        let Some(day) = name.parse::<Day>().ok().filter(|_| is_page) else { continue };
        let path = folder.join(WEIGHTS_FILE);
        let Some(text) = read_text_if_there(&path)? else { continue };
        let Weights { reason, .. } = Weights::from_json(&text).in_file(&path)?;
        let report = format!("{name}/{REPORT_FILE}");
        let path = folder.join(JOINT_FILE);
        let contests = match read_text_if_there(&path)? {
            Some(text) => Joint::from_json(&text).in_file(&path)?.contests,
            None => Vec::new(),
        };
        let contests = contests.into_iter().map(|part| part.contest).collect();
        found.push(QuietDay { day, report, reason, weights_block: blocks.get(&name).copied(), contests });
    }
    found.sort_by(|a, b| a.day.cmp(&b.day));
    Ok(found)
}

/// Beside the days, which are sealed: the block that the weights of each came to stand in.
const ON_CHAIN_FILE: &str = "on-chain.json";

/// Notes where the weights of a published day stand; `false`: it was noted already.
///
/// # Errors
/// It cannot be written, or what was noted before cannot be read; then nothing is written over it.
pub fn note_weights(published: &Path, day: &str, weights_block: u64) -> Result<bool> {
    let mut blocks = weights_blocks(published)?;
    if !published.join(day).is_dir() || blocks.insert(day.to_owned(), weights_block) == Some(weights_block) {
        return Ok(false);
    }
    let path = published.join(ON_CHAIN_FILE);
    let text = serde_json::to_vec_pretty(&blocks).in_file(&path)?;
    write_whole(&path, &text).in_file(&path)?;
    Ok(true)
}

/// The weights' blocks by day; none where none was noted yet.
fn weights_blocks(published: &Path) -> Result<BTreeMap<String, u64>> {
    let path = published.join(ON_CHAIN_FILE);
    let Some(text) = read_text_if_there(&path)? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(&text).map_err(|error| {
        RunError::input(format!(
            "{}: {error}; expected the block of each day's weights, as {{\"2026-11-22\": 4200}}; mend the file, or move it \
             away: then it is begun anew, and the pages of earlier days name no block",
            path.display()
        ))
    })
}

/// The runs of a folder by name; each run once, whatever folders hold a copy of it. One whose summary cannot be read,
/// or is not there beside samples, is left out with a warning.
///
/// # Errors
/// The folder cannot be read.
pub fn find_runs(path: &Path, observer: &dyn Observer) -> Result<Vec<(PathBuf, Summary)>> {
    let entries = fs::read_dir(path).in_file(path)?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().in_file(path)?;
    folders.sort();
    let mut found: Vec<(PathBuf, Summary)> = Vec::new();
    for folder in folders {
        let file = folder.join(SUMMARY_FILE);
        if !file.is_file() {
            if is_measured(&folder) {
                let (run, next) = (folder.display(), quoted(&folder));
                observer.note(&format!(
                    "warning: {run}: a run without {SUMMARY_FILE}, left out; `edgemaxx report {next}` writes it"
                ));
            }
            continue;
        }
        let summary = match read_text(&file).and_then(|text| Summary::from_json(&text).in_file(&file)) {
            Ok(summary) => summary,
            Err(error) => {
                observer.note(&format!("warning: {error}; left out"));
                continue;
            }
        };
        if let Some((first, _)) = found.iter().find(|(_, known)| known.samples == summary.samples) {
            observer.note(&format!("{}: the same run as {}, left out", folder.display(), first.display()));
            continue;
        }
        found.push((folder, summary));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn noted_blocks_are_read_or_left_as_they_are() {
        let site = tempfile::tempdir().unwrap();
        for day in ["2026-11-22", "2026-11-23"] {
            fs::create_dir(site.path().join(day)).unwrap();
        }
        let file = site.path().join(ON_CHAIN_FILE);
        assert!(note_weights(site.path(), "2026-11-22", 42).unwrap(), "the first of all");
        let whole = fs::read_to_string(&file).unwrap();
        let damaged =
            [&whole[..whole.len() - 1], "", "[]", "{\"2026-11-22\": \"42\"}"].map(|text| text.as_bytes());
        for text in damaged.into_iter().chain([&b"\xff\xfe{\0}\0"[..]]) {
            fs::write(&file, text).unwrap();
            let noted = note_weights(site.path(), "2026-11-23", 43).map(drop);
            for said in [noted, index(site.path(), &Silent).map(drop)] {
                let said = said.unwrap_err().to_string();
                assert!(said.contains("on-chain.json: ") && said.contains("expected"), "{said}");
            }
            assert_eq!(fs::read(&file).unwrap(), text, "nothing is written over it");
        }
        fs::write(&file, format!("\u{feff}{whole}")).unwrap();
        assert!(note_weights(site.path(), "2026-11-23", 43).unwrap());
        let blocks = weights_blocks(site.path()).unwrap();
        assert_eq!(blocks.into_values().collect::<Vec<_>>(), [42, 43]);
    }
}
