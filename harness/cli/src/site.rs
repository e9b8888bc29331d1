//! Many runs as a static site: from a folder of runs, or in the folder that days are published to.

use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::run_files::{REPORT_FILE, SUMMARY_FILE};
use edgemaxx_files::write_whole;
use edgemaxx_report::{HistoryRun, Summary, history};

use crate::error::InFile as _;
use crate::terminal::note;

/// Marks a folder as ours to write into.
pub(crate) const SITE_FILE: &str = "history.json";

/// Writes the site's own files into `out`, each as a whole.
pub(crate) fn write(runs: &[HistoryRun], out: &Path) -> anyhow::Result<()> {
    for file in history(runs)? {
        write_whole(&out.join(&file.path), file.text.as_bytes())?;
    }
    Ok(())
}

/// Makes the folder that days are published to a site that can be served as it is: an `index.html` that links each
/// day's own report. Days on which nothing was measured have none and are not listed. The number of days listed.
pub(crate) fn index(published: &Path) -> anyhow::Result<usize> {
    let mut runs = Vec::new();
    for (folder, summary) in find_runs(published)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.parse::<Day>().is_ok() {
            let report = folder.join(REPORT_FILE).is_file().then(|| format!("{name}/report.html"));
            runs.push(HistoryRun { summary, report });
        }
    }
    let foreign = published.join("index.html").exists() && !published.join(SITE_FILE).exists();
    if foreign {
        note(&format!("{}: holds an index.html that is not ours; it stays", published.display()));
    } else if !runs.is_empty() {
        write(&runs, published)?;
    }
    Ok(runs.len())
}

/// The runs of a folder by name; each run once, whatever folders hold a copy of it. One whose summary cannot be read is
/// left out, with a warning.
pub(crate) fn find_runs(path: &Path) -> anyhow::Result<Vec<(PathBuf, Summary)>> {
    let entries = fs::read_dir(path).in_file(path)?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().in_file(path)?;
    folders.sort();
    let mut found: Vec<(PathBuf, Summary)> = Vec::new();
    for folder in folders {
        let file = folder.join(SUMMARY_FILE);
        if !file.is_file() {
            continue;
        }
        let read = fs::read_to_string(&file).in_file(&file);
        let summary = match read.and_then(|text| Summary::from_json(&text).in_file(&file)) {
            Ok(summary) => summary,
            Err(error) => {
                note(&format!("warning: {error}; left out"));
                continue;
            }
        };
        if let Some((first, _)) = found.iter().find(|(_, known)| known.samples == summary.samples) {
            note(&format!("{}: the same run as {}, left out", folder.display(), first.display()));
            continue;
        }
        found.push((folder, summary));
    }
    Ok(found)
}
