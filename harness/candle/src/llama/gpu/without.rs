//! A build without CUDA: nothing of this can exist.
use crate::Accelerator;
use crate::error::{Error, Result};
use crate::llama::{LlamaConfig, LlamaOptions, Wanted};
use std::path::Path;

/// No GPU.
pub enum GpuLlama {}

impl GpuLlama {
    /// Refuses, as the device does.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &Path, _: &LlamaOptions) -> Result<Self> {
        match Accelerator::Cuda.open() {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Device("this build has no GPU code".to_owned())),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &LlamaConfig {
        match *self {}
    }

    /// Tokens of the longest text.
    pub fn capacity(&self) -> usize {
        match *self {}
    }

    /// Makes an answer; see [`crate::llama::Llama::generate`].
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn generate(&mut self, _: Wanted<'_>, _: &mut dyn FnMut(&[u32]) -> bool) -> Result<()> {
        match *self {}
    }

    /// Reads an answer; see [`crate::llama::Llama::score`].
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn score(&mut self, _: &[u32], _: &[u32], _: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        match *self {}
    }
}
