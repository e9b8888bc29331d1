//! `edgemaxx man`: the help of every verb as manual pages.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::error::InFile as _;
use crate::terminal::answer;

/// Writes a manual page for this command and for each of its verbs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx man ~/.local/share/man/man1 && man edgemaxx-run")]
pub(crate) struct Args {
    /// Folder to write them to; made where it is missing.
    folder: PathBuf,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder).in_file(&self.folder)?;
        clap_mangen::generate_to(super::Cli::command(), &self.folder).in_file(&self.folder)?;
        answer(&format!("{}: edgemaxx.1 and a page for each verb", self.folder.display()))
    }
}
