//! A checkpoint opened as the engine opens it, without reading a weight: what makes it unfit is known before it is planned.
use crate::error::Result;
use crate::pipeline::{CheckpointSource, LoadOptions, Pipeline};
use crate::schedule::Schedule;

/// A checkpoint of which everything but what its tensors hold was read: configurations, tokenizers, scheduler, and each
/// tensor's name, shape and storage.
pub struct Unread(Pipeline);

impl Unread {
    /// Opens a checkpoint; `options` decide as they do in [`Pipeline::load`], on whatever device.
    ///
    /// # Errors
    /// Those of [`Pipeline::load`], in its words.
    pub fn open(source: &CheckpointSource, options: &LoadOptions) -> Result<Self> {
        Pipeline::load_unread(source, options).map(Self)
    }

    /// Whether pictures of this size can be made in so many steps, each of which makes numbers of numbers.
    ///
    /// # Errors
    /// [`crate::Error::Request`] names the field.
    pub fn serves(&self, width: usize, height: usize, steps: usize) -> Result<()> {
        self.0.latent_shape(width, height)?;
        Schedule::rehearse(self.0.schedule(), steps)
    }

    /// What is odd about the checkpoint and does not keep it from drawing.
    pub fn remarks(&self) -> &[String] {
        self.0.remarks()
    }
}
