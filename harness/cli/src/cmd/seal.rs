//! `edgemaxx seal`: a run folder in, manifest.json out.

use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::PROMPTS_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::quoted::quoted;
use edgemaxx_run::stage::report::is_of;
use edgemaxx_seal::manifest::{self, MANIFEST_FILE, PreviousDay};
use edgemaxx_seal::sign::Signer;
use edgemaxx_seal::{Keypair, PasswordSource};

use crate::error::Failure;
use crate::terminal::{answer, answer_json, watched};

/// Seals a run: the digest of every file and of the day before, signed (writes manifest.json). Every file must be what
/// the stages made of the ones before it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx seal runs/2026-11-22 --key ~/.bittensor/wallets/default/hotkeys/default
  edgemaxx seal runs/2026-11-22 --previous runs/2026-11-21 --key seed.txt --publish site/2026-11-22

The key is a hotkey file of a Bittensor wallet, encrypted or not, or a file with a 32-byte seed in hexadecimal or a
phrase; nobody but its owner may be able to read it (chmod 600).")]
pub(crate) struct Args {
    /// Run folder, with its report.
    run: PathBuf,
    /// Sign with the key in this file [default: nobody signs].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File (mode 0600) with the password of an encrypted key; else BT_WALLET_PASSWORD, else it is asked for.
    #[arg(long, value_name = "FILE", requires = "key")]
    password_file: Option<PathBuf>,
    /// The sealed run of the day before.
    #[arg(long, value_name = "DIR")]
    previous: Option<PathBuf>,
    /// Copy everything sealed to this folder.
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = RunFolder::open(&self.run)?;
        let plan = folder.plan()?;
        folder.read(PROMPTS_FILE)?;
        folder.contest(&plan)?;
        let log = folder.samples(&plan)?;
        let (_, quality) = folder.quality(&plan, &log)?;
        folder.estimates(&plan, &log, quality)?;
        folder.ranking()?;
        is_of(&folder)?;
        let password = PasswordSource { file: self.password_file.clone(), prompt: watched() };
        let key = self.key.as_deref().map(|path| Keypair::read(path, &password)).transpose()?;
        let previous = self.previous.as_deref().map(previous_day).transpose()?;
        let signer = key.as_ref().map(|key| key as &dyn Signer);
        let manifest = manifest::seal(&self.run, &plan.day, previous, signer)?;
        if let Some(target) = &self.publish {
            manifest::publish(&self.run, &manifest, target)?;
        }
        if self.json {
            return answer_json(&manifest);
        }
        let signed =
            key.as_ref().map_or("signed by nobody".to_owned(), |key| format!("signed by {}", key.hotkey()));
        let shown = self.publish.as_ref().unwrap_or(&self.run);
        answer(&format!(
            "{}: {} files, {signed}\nnext: edgemaxx verify {}",
            shown.join(MANIFEST_FILE).display(),
            manifest.files.len(),
            quoted(shown)
        ))
    }
}

fn previous_day(folder: &Path) -> anyhow::Result<PreviousDay> {
    let (manifest, digest) =
        manifest::read(folder).map_err(|error| Failure::input(format!("--previous: {error}")))?;
    Ok(PreviousDay { day: manifest.day, manifest: digest })
}
