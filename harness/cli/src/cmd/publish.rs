//! `edgemaxx publish`: a sealed run, to where others can read it.

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_run::site;
use edgemaxx_seal::manifest::{self, Manifest};
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::publish_target::Target;
use crate::terminal::{answer, answer_json};

/// Publishes a sealed run in a folder of its day; what is there already is not sent again.
///
/// A folder becomes a static site: its index.html shows all days and links their reports. On the hub the run goes to a
/// dataset repository, which is made if there is none; its manifest comes last, so what has one is whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx publish validator/days/2026-11-22 --to site
  edgemaxx publish validator/days/2026-11-22 --to hf:owner/days

The hub is set up by HF_TOKEN (else the file that `hf auth login` writes), HF_HOME and HF_ENDPOINT.
Exit codes: 0 published · 1 the run is not what its seal says · 2 bad input · 5 the hub failed; run the same again")]
pub(crate) struct Args {
    /// Sealed run folder.
    run: PathBuf,
    /// Where to.
    #[arg(long, value_name = "DIR | hf:OWNER/NAME")]
    to: Target,
    /// Make a new repository private.
    #[arg(long)]
    private: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    day: String,
    to: String,
    /// The commit on the hub.
    revision: Option<String>,
    manifest: Digest,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let (manifest, digest) =
            manifest::read(&self.run).map_err(|error| Failure::input(error.to_string()))?;
        manifest::check_files(&self.run, &manifest)
            .map_err(|error| Failure::error(Exit::No, error.to_string()))?;
        let day = manifest.day.to_string();
        let (to, revision) = match &self.to {
            Target::Folder(folder) => {
                let target = folder.join(&day);
                manifest::publish(&self.run, &manifest, &target)?;
                site::index(folder, &Terminal)?;
                (target.display().to_string(), None)
            }
            Target::Hub(repository) => {
                let revision = to_hub(&self.run, &manifest, digest, repository, self.private)?;
                (format!("hf:{repository}@{revision}, folder {day}"), Some(revision))
            }
        };
        if self.json {
            return answer_json(&Answer { day, to: self.to.to_string(), revision, manifest: digest });
        }
        answer(&format!("published {} files to {to}", manifest.files.len() + 1))
    }
}

/// The commit that holds the day.
#[cfg(feature = "hub")]
fn to_hub(
    run: &Path,
    manifest: &Manifest,
    digest: Digest,
    repository: &str,
    private: bool,
) -> anyhow::Result<String> {
    use edgemaxx_hub::{CheckpointFile, FilesUpload};
    use edgemaxx_run::hub;
    use edgemaxx_seal::manifest::MANIFEST_FILE;

    let file = |path: &str, size, digest| CheckpointFile { path: path.to_owned(), size, digest };
    let mut files: Vec<CheckpointFile> =
        manifest.files.iter().map(|sealed| file(&sealed.path, sealed.bytes, sealed.digest)).collect();
    let size = std::fs::metadata(run.join(MANIFEST_FILE))?.len();
    files.push(file(MANIFEST_FILE, size, digest));
    let day = manifest.day.to_string();
    let message = format!("Day {day}, manifest {}", digest.short());
    let upload =
        FilesUpload { repository, folder: run, place: &day, files: &files, message: &message, private };
    Ok(hub::publish_files(&upload, &Terminal)?.revision)
}

#[cfg(not(feature = "hub"))]
fn to_hub(_: &Path, _: &Manifest, _: Digest, _: &str, _: bool) -> anyhow::Result<String> {
    Err(edgemaxx_run::left_out::left_out("--to hf:OWNER/NAME", "hub").into())
}
