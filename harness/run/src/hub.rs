//! Checkpoints that lie elsewhere: fetched with progress, read from the cache afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use edgemaxx_contract::digest::Digest;
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

/// What a checkpoint will be called by everybody who fetches it: the digest that a plan and a day name it by.
pub fn digest_of(resolved: &Resolved) -> Digest {
    let named: Vec<_> = resolved.files.iter().map(|file| (&file.path, file.digest.to_string())).collect();
    let folder =
        Digest::of_fields(named.iter().flat_map(|(path, digest)| [path.as_bytes(), digest.as_bytes()]));
    Digest::of_fields([folder.to_string().as_bytes(), b"", b""])
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

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::CheckpointSpec;
    use edgemaxx_hub::resolve_folder;

    use super::*;
    use crate::resolve::FolderDigests;

    /// Before it is published, a checkpoint has the digest that others will find when they have fetched it.
    #[test]
    fn a_checkpoint_is_known_by_its_digest_before_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let (own, fetched) = (folder.path().join("own"), folder.path().join("fetched"));
        std::fs::create_dir_all(own.join("unet")).unwrap();
        for (name, text) in [
            ("model_index.json", "{}"),
            ("unet/config.json", "{}"),
            ("unet-2.json", "x"),
            ("notes.md", "left out"),
            ("edgemaxx.toml", ""),
        ] {
            std::fs::write(own.join(name), text).unwrap();
        }
        let resolved = resolve_folder(&own, &own, None, &rules()).unwrap();
        assert_eq!(resolved.files.len(), 4);
        resolved.place(&fetched).unwrap();
        let spec = CheckpointSpec { source: "fetched".to_owned(), unet: None, derive: None };
        assert_eq!(digest_of(&resolved), FolderDigests::default().of(folder.path(), &spec).unwrap());
    }
}
