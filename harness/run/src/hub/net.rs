//! What travels: fetching and publishing, with progress.

use edgemaxx_hub::{FilesUpload, Hub, Patience, Published, Resolved, Source, Step, Upload};

use super::{rules, variable};
use crate::error::Result;
use crate::progress::{Observer, Progress};

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

/// Fetch what is missing of a source.
///
/// # Errors
/// The hub has it not, or cannot be reached.
pub(super) fn fetch(source: &Source, observer: &dyn Observer) -> Result<Resolved> {
    let mut watch = Watch::new(observer);
    let resolved = hub()?.resolve(source, &rules(), &mut |step| watch.step(step))?;
    watch.end();
    Ok(resolved)
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
