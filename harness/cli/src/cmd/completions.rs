//! `edgemaxx completions`: what a shell needs to complete our words.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::terminal::print_bytes;

/// Prints a script by which a shell completes verbs and options.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx completions bash > ~/.local/share/bash-completion/completions/edgemaxx
  edgemaxx completions zsh > ~/.zfunc/_edgemaxx            (a folder of $fpath)
  edgemaxx completions fish > ~/.config/fish/completions/edgemaxx.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut super::Cli::command(), "edgemaxx", &mut script);
        print_bytes(&script)
    }
}
