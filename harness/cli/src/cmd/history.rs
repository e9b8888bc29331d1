//! `edgemaxx history`: many runs as a static site.

use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::{REPORT_FILE, SUMMARY_FILE};
use edgemaxx_files::write_whole;
use edgemaxx_report::HistoryRun;
use edgemaxx_run::site::{self, SITE_FILE};

use crate::error::{Failure, InFile as _};
use crate::progress::Terminal;
use crate::terminal::{answer, note};

/// Builds a site from the runs in a folder: days, leaderboard over time, trends, drift, lasting changes.
///
/// Every folder directly inside DIR that holds a summary.json is a run; one that
/// cannot be read is left out with a warning. Its report is copied beside the site's page,
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

const REPORTS: &str = "reports";

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let found = site::find_runs(&self.runs, &Terminal)?;
        if found.is_empty() {
            return Err(Failure::input(format!(
                "{}: no folder in it holds a {SUMMARY_FILE} that can be read; `edgemaxx run` or `edgemaxx report` writes one",
                self.runs.display()
            )));
        }
        prepare(&self.out)?;
        let mut evidence = site::evidence_of_last(&found, &Terminal);
        let mut runs = Vec::new();
        for (folder, summary) in found {
            // Named by what it is: no folder's name can become a path or an address.
            let link = format!("{REPORTS}/{}-{}.html", summary.day, summary.samples.short());
            let page = folder.join(REPORT_FILE);
            let report = if page.is_file() {
                let target = self.out.join(&link);
                write_whole(&target, &fs::read(&page).in_file(&page)?).in_file(&target)?;
                Some(link)
            } else {
                note(&format!("{}: missing, so that day has no link", page.display()));
                None
            };
            runs.push(HistoryRun {
                summary,
                report,
                weights_block: None,
                evidence: evidence.remove(&folder),
            });
        }
        site::write(&runs, &[], &self.out)?;
        let several = if runs.len() == 1 { "" } else { "s" };
        note(&format!("history: {} run{several}", runs.len()));
        answer(&self.out.join("index.html").display().to_string())
    }
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
