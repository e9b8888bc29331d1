//! `edgemaxx engine`: engine processes, which the harness starts.

use std::ffi::OsString;

use clap::Subcommand;

use crate::error::{Exit, Failure};
use crate::native;

/// Engine processes: the harness starts them and speaks with them over a socket.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    engine: Engine,
}

#[derive(Debug, Subcommand)]
enum Engine {
    /// The built-in engine; started by the harness.
    Candle,
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
            Engine::Candle => {
                native::serve().map_err(|error| Failure::error(Exit::Engine, error.to_string()))
            }
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
