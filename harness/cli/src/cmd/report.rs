//! `edgemaxx report`: a run for people and programs.

use std::path::PathBuf;

use edgemaxx_run::RunFolder;
use edgemaxx_run::stage::report::report_run;

use crate::terminal::answer;

/// Writes report.html, report.md, junit.xml, summary.json, tidy CSVs and samples.parquet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx report runs/emoji-cpu-2026-11-22")]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let page = report_run(&RunFolder::open(&self.run)?)?;
        answer(&page.display().to_string())
    }
}
