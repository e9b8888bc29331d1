//! The `edgemaxx` command: one verb per file in [`cmd`].

mod cmd;
mod error;
mod progress;
mod shell;
mod site;
#[cfg(feature = "chain")]
mod subtensor;
mod table;
mod target;
mod terminal;
#[cfg(feature = "validator")]
mod validator;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    terminal::finish(cmd::Cli::parse().execute())
}
