//! Checkpoints that lie elsewhere: fetched with progress, read from the cache afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use edgemaxx_hub::{
    Cache, FilesUpload, Hub, Patience, Published, Resolved, Rules, Source, Step, Upload, resolve_offline,
};

use crate::error::Result;
use crate::progress::{Observer, Progress};

/// A candidate may bring its own program; its files then belong to it.
pub fn rules() -> Rules {
    Rules { programs: true, ..Rules::default() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn hub() -> Result<Hub> {
    Ok(Hub::from_env(variable, Patience::default())?)
}

/// Bytes with a bar; none where nothing has to travel.
pub struct Watch<'a> {
    observer: &'a dyn Observer,
    progress: Option<Box<dyn Progress>>,
    total: u64,
    done: u64,
}

/// Bytes are shown in this unit.
const UNIT: u64 = 1 << 20;

impl<'a> Watch<'a> {
    /// Nothing travels yet.
    pub fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, progress: None, total: 0, done: 0 }
    }

    /// A step of what travels.
    pub fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Begin { what, bytes } => {
                self.end();
                (self.total, self.done) = (bytes, 0);
                self.progress = Some(self.observer.begin(what, bytes.div_ceil(UNIT)));
            }
            Step::File(path) => {
                if let Some(progress) = &mut self.progress {
                    progress.doing(path);
                }
            }
            Step::Bytes(bytes) => {
                let before = self.done.div_ceil(UNIT);
                self.done += bytes;
                if let Some(progress) = &mut self.progress {
                    progress.advance(self.done.div_ceil(UNIT).saturating_sub(before));
                }
            }
        }
    }

    /// Everything is there.
    pub fn end(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.end(&format!("{} MiB", self.total.div_ceil(UNIT)));
        }
    }
}

/// Folders found so far: their files are read and digested once per command, not at every mention.
static PLACED: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// Fetch what is missing of a source.
///
/// # Errors
/// The hub has it not, or cannot be reached.
pub fn fetch(source: &Source, observer: &dyn Observer) -> Result<Resolved> {
    let mut watch = Watch::new(observer);
    let resolved = hub()?.resolve(source, &rules(), &mut |step| watch.step(step))?;
    watch.end();
    Ok(resolved)
}

/// The folder of a source that was fetched before: plain files, no links.
///
/// # Errors
/// It was not fetched, or not whole.
pub fn cached(source: &Source) -> Result<PathBuf> {
    let mut placed = PLACED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let name = source.to_string();
    if let Some(folder) = placed.get(&name) {
        return Ok(folder.clone());
    }
    let resolved = resolve_offline(source, &Cache::from_env(variable), &rules())?;
    let folder = match (source, &resolved.revision) {
        (Source::Hub { .. }, Some(commit)) => {
            // REPOSITORY/snapshots/COMMIT, and REPOSITORY/edgemaxx/COMMIT beside it.
            let repository = resolved.root.ancestors().nth(2).unwrap_or(&resolved.root);
            let folder = repository.join("edgemaxx").join(commit);
            resolved.place(&folder)?;
            folder
        }
        _ => resolved.root,
    };
    placed.insert(name, folder.clone());
    Ok(folder)
}

/// Publish a folder.
///
/// # Errors
/// The hub refuses, or cannot be reached.
pub fn publish(upload: &Upload<'_>, observer: &dyn Observer) -> Result<Published> {
    let mut watch = Watch::new(observer);
    let published = hub()?.publish(upload, &rules(), &mut |step| watch.step(step))?;
    watch.end();
    Ok(published)
}

/// Publish files in a dataset repository.
///
/// # Errors
/// The hub refuses, or cannot be reached.
pub fn publish_files(upload: &FilesUpload<'_>, observer: &dyn Observer) -> Result<Published> {
    let mut watch = Watch::new(observer);
    let published = hub()?.publish_files(upload, &mut |step| watch.step(step))?;
    watch.end();
    Ok(published)
}

/// Removes what was fetched of a source at a full revision; bytes made free. Other sources are left alone.
///
/// # Errors
/// The files cannot be removed.
pub fn forget(text: &str) -> Result<u64> {
    let Source::Hub { repository, revision: Some(commit) } = text.parse()? else { return Ok(0) };
    PLACED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(text);
    Ok(Cache::from_env(variable).remove(&repository, &commit)?)
}
