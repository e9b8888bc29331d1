//! Checkpoints as a run would take them: fetched beside one another, digested, checked for copies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use edgemaxx_candle::copies::Fingerprint;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::task::TaskRef;
use edgemaxx_validator::world::{CheckpointTrouble, Checkpoints, Compared, CopyOf};

use crate::copies::{Likeness, Repeat, repeats, salt};
use crate::error::Class;
use crate::progress::Observer;
use crate::public::without_paths;
use crate::sources::source_folder;
use crate::submission_files;

/// Checkpoints that are fetched at once: one that hardly comes holds up none of the others.
const MOST_AT_ONCE: usize = 16;

/// What a thread says once.
type Said = Result<Digest, CheckpointTrouble>;

/// Checkpoints from folders and, where they are named so, from elsewhere.
pub struct LocalCheckpoints {
    /// Folder that contests' paths are relative to.
    base: PathBuf,
    /// The contest: what candidates share with its baseline is nobody's own work.
    contest: Contest,
    /// Told of what is fetched, from several threads.
    observer: &'static dyn Observer,
    /// What is under way, by source.
    fetching: BTreeMap<String, Receiver<Said>>,
}

impl LocalCheckpoints {
    /// Checkpoints for a contest whose paths are relative to `base`.
    pub fn new(base: &Path, contest: &Contest, observer: &'static dyn Observer) -> Self {
        Self { base: base.to_owned(), contest: contest.clone(), observer, fetching: BTreeMap::new() }
    }
}

/// Fetches and checks one checkpoint, however long that takes.
fn prepare(base: &Path, source: &str, task: TaskRef, observer: &dyn Observer) -> Said {
    submission_files::digest(base, source, task, observer).map_err(|error| {
        // The day says it to everybody.
        let folder = source_folder(base, source).ok();
        let words = without_paths(&error.words(), folder.as_deref());
        match error.class() {
            _ if error.is_gone() => CheckpointTrouble::Gone(words),
            // What is wrong with the files stays wrong; what is wrong with the way to them may not.
            Class::Chain | Class::Environment => CheckpointTrouble::Away(words),
            _ => CheckpointTrouble::Invalid(words),
        }
    })
}

impl Checkpoints for LocalCheckpoints {
    fn prepare(&mut self, source: &str) -> Option<Said> {
        let Some(said) = self.fetching.get(source) else {
            if self.fetching.len() < MOST_AT_ONCE {
                let (say, said) = channel();
                let (base, name, task) = (self.base.clone(), source.to_owned(), self.contest.task);
                let observer = self.observer;
                // Whoever gave up listening needs no answer.
                std::thread::spawn(move || drop(say.send(prepare(&base, &name, task, observer))));
                self.fetching.insert(source.to_owned(), said);
            }
            return None;
        };
        let said = match said.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Ok(said) => said,
            Err(TryRecvError::Disconnected) => Err(CheckpointTrouble::Away(
                "fetching it ended without a result, a defect of this program".to_owned(),
            )),
        };
        self.fetching.remove(source);
        Some(said)
    }

    fn copies(&mut self, entries: &[(String, u64, String)], entropy: &str) -> Result<Compared, String> {
        let salt = salt(entropy);
        let folder = |source: &str| source_folder(&self.base, source).map_err(|error| error.words());
        let baseline = Fingerprint::of(&folder(&self.contest.baseline.checkpoint.source)?, salt)
            .map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for (hotkey, _, source) in entries {
            // What cannot be read is not compared; the run will say what is wrong with it.
            let of = |folder: PathBuf| Likeness::of(&folder, &self.contest, &baseline, salt).ok();
            if let Some(likeness) = folder(source).ok().and_then(of) {
                found.push((hotkey.clone(), likeness));
            }
        }
        let repeats = repeats(&found, &self.contest, &baseline);
        let copy = |repeat: Repeat| CopyOf { copy: repeat.copy, original: repeat.original, how: repeat.how };
        let by_engine = found.iter().filter(|(_, likeness)| likeness.is_told_by_engine());
        let by_engine = by_engine.map(|(hotkey, _)| hotkey.clone()).collect();
        Ok(Compared { copies: repeats.into_iter().map(copy).collect(), by_engine })
    }
}
