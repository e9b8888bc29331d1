//! Checkpoints that lie elsewhere: fetched with progress, read from the cache afterwards.

use std::path::PathBuf;

use edgemaxx_hub::{Cache, Hub, Patience, Published, Resolved, Rules, Source, Step, Upload, resolve_offline};

use crate::progress::Progress;

/// A candidate may bring its own program; its files then belong to it.
pub(crate) fn rules() -> Rules {
    Rules { programs: true, ..Rules::default() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn hub() -> anyhow::Result<Hub> {
    Ok(Hub::from_env(variable, Patience::default())?)
}

/// Bytes with a bar; none where nothing has to travel.
#[derive(Default)]
struct Watch {
    progress: Option<Progress>,
    total: u64,
    done: u64,
}

/// Bytes are shown in this unit.
const UNIT: u64 = 1 << 20;

impl Watch {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Begin { what, bytes } => {
                self.end();
                (self.total, self.done) = (bytes, 0);
                self.progress = Some(Progress::begin(what, bytes.div_ceil(UNIT)));
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

    fn end(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.end(&format!("{} MiB", self.total.div_ceil(UNIT)));
        }
    }
}

/// Fetch what is missing of a source.
pub(crate) fn fetch(source: &Source) -> anyhow::Result<Resolved> {
    let mut watch = Watch::default();
    let resolved = hub()?.resolve(source, &rules(), &mut |step| watch.step(step))?;
    watch.end();
    Ok(resolved)
}

/// The folder of a source that was fetched before.
pub(crate) fn cached(source: &Source) -> anyhow::Result<PathBuf> {
    Ok(resolve_offline(source, &Cache::from_env(variable), &rules())?.root)
}

/// Publish a folder.
pub(crate) fn publish(upload: &Upload<'_>) -> anyhow::Result<Published> {
    let mut watch = Watch::default();
    let published = hub()?.publish(upload, &rules(), &mut |step| watch.step(step))?;
    watch.end();
    Ok(published)
}
