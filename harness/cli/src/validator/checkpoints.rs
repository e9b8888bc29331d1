//! Checkpoints as a run would take them: fetched, digested, checked for copies.

use std::path::{Path, PathBuf};

use edgemaxx_candle::copies::{Entry, Fingerprint, find_copies};
use edgemaxx_contract::contest::CheckpointSpec;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::task;
use edgemaxx_run::copies::salt;
use edgemaxx_run::resolve::{FolderDigests, candidate_file};
use edgemaxx_run::sources::{pinned, source_folder};
use edgemaxx_validator::world::{CheckpointTrouble, Checkpoints, CopyOf};

use crate::error::{Exit, exit_of, words};
use crate::progress::Terminal;

/// Checkpoints from folders and, where they are named so, from elsewhere.
pub(crate) struct LocalCheckpoints {
    /// Folder that contests' paths are relative to.
    base: PathBuf,
    /// The contest's baseline: what candidates share with it is nobody's own work.
    baseline: String,
}

impl LocalCheckpoints {
    pub(crate) fn new(base: &Path, baseline: &str) -> Self {
        Self { base: base.to_owned(), baseline: baseline.to_owned() }
    }

    fn fingerprint(&self, source: &str, salt: u64) -> Result<Fingerprint, String> {
        let folder = source_folder(&self.base, source).map_err(|error| error.to_string())?;
        Fingerprint::of(&folder, salt).map_err(|error| error.to_string())
    }
}

impl Checkpoints for LocalCheckpoints {
    fn prepare(&mut self, source: &str) -> Result<Digest, CheckpointTrouble> {
        let prepare = || -> anyhow::Result<Digest> {
            let spec = CheckpointSpec { source: source.to_owned(), unet: None, derive: None };
            let spec = pinned(&self.base, &spec, &Terminal)?;
            candidate_file(&source_folder(&self.base, &spec.source)?, task::DEFAULT)?;
            Ok(FolderDigests::default().of(&self.base, &spec)?)
        };
        prepare().map_err(|error| match exit_of(&error) {
            // What is wrong with the files stays wrong; what is wrong with the way to them may not.
            Exit::Chain | Exit::Environment => CheckpointTrouble::Away(words(&error)),
            _ => CheckpointTrouble::Invalid(words(&error)),
        })
    }

    fn copies(&mut self, entries: &[(String, u64, String)], entropy: &str) -> Result<Vec<CopyOf>, String> {
        let salt = salt(entropy);
        let baseline = self.fingerprint(&self.baseline, salt)?;
        let mut fingerprints = Vec::new();
        for (hotkey, block, source) in entries {
            // Weights that cannot be read are not compared; the run will say what is wrong with them.
            if let Ok(fingerprint) = self.fingerprint(source, salt) {
                fingerprints.push((hotkey, *block, fingerprint));
            }
        }
        let entries: Vec<Entry<'_>> = fingerprints
            .iter()
            .map(|(name, block, fingerprint)| Entry { name, block: *block, fingerprint })
            .collect();
        Ok(find_copies(&entries, &baseline)
            .into_iter()
            .map(|found| CopyOf {
                how: format!("{:.0}% of its own weights", 100.0 * found.share),
                copy: found.copy,
                original: found.original,
            })
            .collect())
    }
}
