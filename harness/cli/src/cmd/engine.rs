//! `edgemaxx engine`: engine processes, which the harness starts, and their check.

use std::ffi::OsString;

use clap::Subcommand;

use crate::error::{Exit, Failure};
use crate::{native, null};

/// Engine processes: the harness starts them and speaks with them over a socket.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    engine: Engine,
}

#[derive(Debug, Subcommand)]
enum Engine {
    /// Put any engine through the protocol and say in words what is wrong.
    Check(super::engine_check::Args),
    /// Fetch what a candidate's engine needs: with a network, without anything of yours.
    Install(super::engine_install::Args),
    /// The built-in engine; started by the harness.
    Candle,
    /// An engine that answers at once: what the protocol itself costs; started by the harness.
    Null,
    /// A scripted engine for tests of the harness; started by the harness.
    #[command(disable_help_flag = true)]
    Mock {
        /// As its usage says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.engine {
            Engine::Check(args) => args.execute(),
            Engine::Install(args) => args.execute(),
            Engine::Candle => {
                native::serve().map_err(|error| Failure::error(Exit::Engine, error.to_string()))
            }
            Engine::Null => null::serve().map_err(|error| Failure::error(Exit::Engine, error.to_string())),
            Engine::Mock { arguments } => match edgemaxx_engine::mock::run(arguments) {
                Ok(()) => Ok(()),
                // The script decides the status, which may be any.
                Err(error) => {
                    crate::terminal::note(&format!("error: {error}"));
                    std::process::exit(i32::from(error.exit_code()))
                }
            },
        }
    }
}
