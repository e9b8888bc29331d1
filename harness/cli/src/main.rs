//! The `edgemaxx` command: one verb per file in [`cmd`].

#[cfg(feature = "chain")]
mod chain_args;
mod cmd;
mod ctrl_c;
mod error;
#[cfg(all(feature = "fleet", feature = "validator"))]
mod fleet_watch;
mod progress;
mod publish_target;
mod resume_command;
mod table;
mod terminal;
#[cfg(feature = "validator")]
mod validator_log;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    terminal::fail_in_words();
    terminal::finish(cmd::Cli::parse().execute())
}
