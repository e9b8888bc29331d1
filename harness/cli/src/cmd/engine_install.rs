//! `edgemaxx engine install`: fetches what a candidate's engine needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use edgemaxx_contract::contest::EngineSpec;
use edgemaxx_engine::{InstallError, InstallSpec, detect_sandbox, install};
use edgemaxx_files::folder_digest;
use edgemaxx_run::candidate_file::own_engine;
use edgemaxx_run::prepare::{command, limits};

use crate::error::{Exit, Failure, InFile as _};
use crate::terminal::{answer, note};

/// Runs the `install` command of a candidate's edgemaxx.toml, once, before anything is planned.
///
/// It has a network and may write to the folder's `deps/`, which is emptied before. It sees the system and its own folder,
/// read-only, and nothing else: no home, no wallet, no other candidate, no variables of yours.
/// Whatever it leaves is part of the candidate's digest. Measured engines never have a network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  [engine]                                             (edgemaxx.toml in the candidate's folder)
  command = [\"python3\", \"engine.py\"]
  install = [\"python3\", \"-m\", \"pip\", \"install\", \"--target\", \"deps\", \"-r\", \"requirements.txt\"]

  edgemaxx engine install candidates/fast

Exit code: 0 installed, or nothing to install · 2 no such folder · 3 no sandbox here · 4 the installer failed")]
pub(crate) struct Args {
    /// The candidate's folder.
    folder: PathBuf,
    /// Minutes that it may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// MiB that it may leave.
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    mib: u64,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if !self.folder.is_dir() {
            return Err(Failure::input(format!("{}: no such folder", self.folder.display())));
        }
        // The installer is started in it: what is named in it must not depend on where we are.
        let folder = self.folder.canonicalize().in_file(&self.folder)?;
        let Some(EngineSpec::Command(engine)) = own_engine(&folder)? else {
            return answer("nothing to install: the candidate names no engine of its own");
        };
        if engine.install.is_empty() {
            return answer("nothing to install: its edgemaxx.toml has no install command");
        }
        note(&format!("installing: {}", engine.install.join(" ")));
        let places: [&Path; 1] = [&folder];
        let spec = InstallSpec {
            command: command(&engine.install, &places, true).0,
            folder: folder.clone(),
            limits: limits(engine.resources, true),
            timeout: Duration::from_secs(self.minutes * 60),
            bytes: self.mib << 20,
            sandbox: detect_sandbox(),
        };
        let done = install(&spec).map_err(|error| {
            let exit = match error {
                InstallError::Unsandboxed(_) => Exit::Environment,
                _ => Exit::Engine,
            };
            Failure::error(exit, error.to_string())
        })?;
        answer(&format!(
            "{}: {} files, {} MiB\ndigest of the candidate: {}",
            done.deps.display(),
            done.files,
            done.bytes.div_ceil(1 << 20),
            folder_digest(&folder)?
        ))
    }
}
