//! `edgemaxx seal`: a run folder in, manifest.json out.

use std::path::{Path, PathBuf};

use edgemaxx_contract::manifest::MANIFEST_FILE;
use edgemaxx_contract::manifest::PreviousDay;
use edgemaxx_contract::run_files::PROMPTS_FILE;
use edgemaxx_run::RunFolder;
use edgemaxx_run::shell::quoted;
use edgemaxx_run::stage::report::is_of;
use edgemaxx_validator::seal;
use edgemaxx_validator::sign::{Key, Signer};

use crate::error::{Failure, InFile as _};
use crate::terminal::{answer, answer_json};

/// Seals a run: the digest of every file and of the day before, signed (writes manifest.json). Every file must be what
/// the stages made of the ones before it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx seal runs/2026-11-22 --key ~/.bittensor/wallets/default/hotkeys/default
  edgemaxx seal runs/2026-11-22 --previous runs/2026-11-21 --key seed.txt --publish site/2026-11-22

The key is an unencrypted Bittensor hotkey file, or a file with a 32-byte seed in hexadecimal.")]
pub(crate) struct Args {
    /// Run folder, with its report.
    run: PathBuf,
    /// Sign with the key in this file [default: nobody signs].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
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
        let key = self.key.as_deref().map(read_key).transpose()?;
        let previous = self.previous.as_deref().map(previous_day).transpose()?;
        let signer = key.as_ref().map(|key| key as &dyn Signer);
        let manifest = seal::seal(&self.run, &plan.day, previous, signer)?;
        if let Some(target) = &self.publish {
            seal::publish(&self.run, &manifest, target)?;
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

/// The key in a file; what is wrong with it is said without repeating it.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<Key> {
    Key::parse(&std::fs::read_to_string(path).in_file(path)?).in_file(path)
}

fn previous_day(folder: &Path) -> anyhow::Result<PreviousDay> {
    let (manifest, digest) =
        seal::read(folder).map_err(|error| Failure::input(format!("--previous: {error}")))?;
    Ok(PreviousDay { day: manifest.day, manifest: digest })
}
