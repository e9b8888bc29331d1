//! Embeds pictures and prompts with any CLIP in the transformers layout.

use std::path::Path;

use edgemaxx_picture::Picture;
use rayon::prelude::*;

use super::model::Clip;
use super::preprocess::Preprocess;
use crate::error::{QualityError, Result};

/// A CLIP with its preprocessing.
pub struct ClipEmbedder {
    model: Clip,
    preprocess: Preprocess,
}

impl ClipEmbedder {
    /// Pictures or prompts that go through the model together.
    pub const BATCH: usize = 16;

    /// Reads a folder as transformers writes it, for computation in f32 on the CPU.
    ///
    /// # Errors
    /// When a file is missing or does not fit; the message names it.
    pub fn load(dir: &Path) -> Result<Self> {
        let model = Clip::load(dir).map_err(clip_error)?;
        let preprocess = Preprocess::read(&dir.join("preprocessor_config.json"))?;
        Ok(Self { model, preprocess })
    }

    /// One vector of length 1 for each picture, in order. A picture's vector does not depend on the
    /// thread count.
    ///
    /// # Errors
    /// When the preprocessing does not yield the model's size.
    pub fn embed_pictures(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>> {
        let side = self.model.side() as u32;
        let mut out = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(Self::BATCH) {
            let pixels =
                batch.par_iter().map(|p| self.preprocess.apply(p, side)).collect::<Result<Vec<_>>>()?;
            out.extend(self.model.embed_pixels(&pixels).map_err(clip_error)?);
        }
        Ok(out)
    }

    /// One vector of length 1 for each prompt, in order.
    ///
    /// # Errors
    /// When the tokenizer does not belong to the model.
    pub fn embed_prompts(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut out = Vec::with_capacity(prompts.len());
        for batch in prompts.chunks(Self::BATCH) {
            out.extend(self.model.embed_texts(batch).map_err(clip_error)?);
        }
        Ok(out)
    }
}

fn clip_error(e: edgemaxx_candle::Error) -> QualityError {
    QualityError::Clip(e.to_string())
}
