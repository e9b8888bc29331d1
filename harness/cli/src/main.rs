//! The `edgemaxx` command: one verb per file in [`cmd`].

mod audit;
mod cmd;
mod error;
mod folder;
mod hub;
mod native;
mod null;
mod prepare;
mod progress;
mod rehearse;
mod resolve;
mod shell;
mod site;
mod stop_rule;
mod subtensor;
mod terminal;
mod validator;
mod variant;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    terminal::finish(cmd::Cli::parse().execute())
}
