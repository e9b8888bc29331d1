//! `edgemaxx history`: many runs as a static site.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edgemaxx_contract::format::Document as _;
use edgemaxx_report::{HistoryRun, Summary, history};

use crate::error::{Failure, InFile as _};
use crate::terminal::{answer, note};

/// Builds a site from the runs in a folder: days, leaderboard over time, trends, drift, lasting changes.
///
/// Every folder directly inside DIR that holds a summary.json is a run. Its report is copied beside the site's page,
/// so the site can be published as it is; the same runs give the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx history runs --out site && xdg-open site/index.html")]
pub(crate) struct Args {
    /// Folder with run folders.
    #[arg(value_name = "DIR")]
    runs: PathBuf,
    /// Folder for the site: new, empty, or an earlier site.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Marks a folder as ours to write into.
const SITE_FILE: &str = "history.json";
const REPORTS: &str = "reports";

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let found = find_runs(&self.runs)?;
        if found.is_empty() {
            return Err(Failure::input(format!(
                "{}: no folder in it holds a summary.json; `edgemaxx run` or `edgemaxx report` writes one",
                self.runs.display()
            )));
        }
        prepare(&self.out)?;
        let mut runs = Vec::new();
        for (folder, summary) in found {
            // Named by what it is: no folder's name can become a path or an address.
            let link = format!("{REPORTS}/{}-{}.html", summary.day, summary.samples.short());
            let page = folder.join("report.html");
            let report = if page.is_file() {
                fs::copy(&page, self.out.join(&link)).in_file(&page)?;
                Some(link)
            } else {
                note(&format!("{}: missing, so that day has no link", page.display()));
                None
            };
            runs.push(HistoryRun { summary, report });
        }
        for file in history(&runs)? {
            let path = self.out.join(&file.path);
            fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        note(&format!("history: {} runs", runs.len()));
        answer(&self.out.join("index.html").display().to_string())
    }
}

/// The runs of a folder by name; each run once, whatever folders hold a copy of it.
fn find_runs(path: &Path) -> anyhow::Result<Vec<(PathBuf, Summary)>> {
    let entries = fs::read_dir(path).in_file(path)?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().in_file(path)?;
    folders.sort();
    let mut found: Vec<(PathBuf, Summary)> = Vec::new();
    for folder in folders {
        let file = folder.join("summary.json");
        if !file.is_file() {
            continue;
        }
        let summary = Summary::from_json(&fs::read_to_string(&file).in_file(&file)?).in_file(&file)?;
        if let Some((first, _)) = found.iter().find(|(_, known)| known.samples == summary.samples) {
            note(&format!("{}: the same run as {}, left out", folder.display(), first.display()));
            continue;
        }
        found.push((folder, summary));
    }
    Ok(found)
}

/// Makes the site's folder, and empties an earlier site's reports.
fn prepare(out: &Path) -> anyhow::Result<()> {
    let ours = out.join(SITE_FILE).is_file();
    let foreign = out.is_dir() && !ours && fs::read_dir(out).in_file(out)?.next().is_some();
    if foreign {
        return Err(Failure::input(format!(
            "{}: holds something that is no earlier site; name a new or empty folder with --out",
            out.display()
        )));
    }
    let reports = out.join(REPORTS);
    if ours && reports.is_dir() {
        fs::remove_dir_all(&reports).in_file(&reports)?;
    }
    fs::create_dir_all(&reports).in_file(&reports)
}
