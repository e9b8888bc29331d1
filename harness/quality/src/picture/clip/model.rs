//! A whole CLIP: pictures and texts as vectors of length 1 in one space.

use std::path::Path;

use edgemaxx_candle::clip::{ClipConfig, ClipText, ClipTokenizer, ClipVision};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device, Error, Result, Tensor};
use rayon::prelude::*;

/// A whole CLIP in f32, from a folder as transformers writes it: `config.json`, `model.safetensors`
/// (single, sharded, or f16 in storage) and the tokenizer's files.
pub struct Clip {
    text: ClipText,
    tokenizer: ClipTokenizer,
    vision: ClipVision,
}

impl Clip {
    /// Reads the folder `dir`.
    ///
    /// # Errors
    /// Names the file, field or tensor that is missing or does not fit.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let config = ClipConfig::read(&path)?;
        let weights = Weights::open_dir(dir, "model", DType::F32, &Device::Cpu)?;
        let projection = config.projection_dim;
        let text = ClipText::load(&weights, &config.text_config, Some(projection), &path)?;
        let tokenizer = ClipTokenizer::load(dir)?;
        text.reads(&tokenizer)?;
        Ok(Self {
            text,
            tokenizer,
            vision: ClipVision::load(&weights, &config.vision_config, projection, &path)?,
        })
    }

    /// Side of the pictures in pixels.
    pub fn side(&self) -> usize {
        self.vision.side()
    }

    /// Embeds preprocessed pictures, each `[3, side, side]` channels first, together; one vector of length 1 for each,
    /// in order. A picture's vector does not depend on its neighbours.
    ///
    /// # Errors
    /// When a picture has another number of values.
    pub fn embed_pixels(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let side = self.side();
        if let Some(other) = pictures.iter().find(|p| p.len() != 3 * side * side) {
            let found = format!("{} values", other.len());
            return Err(Error::Request { field: "pixels", found, expected: (3 * side * side).to_string() });
        }
        let forward = |part: &[Vec<f32>]| -> Result<Vec<Vec<f32>>> {
            let pixels = Tensor::from_vec(part.concat(), (part.len(), 3, side, side), &Device::Cpu)?;
            let rows = self.vision.forward(&pixels)?.to_vec2::<f32>()?;
            Ok(rows.into_iter().map(unit).collect())
        };
        // a thread each has fewer waits than sharing every operation
        let share = pictures.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts = pictures.par_chunks(share).map(forward).collect::<Result<Vec<_>>>()?;
        Ok(parts.concat())
    }

    /// Embeds texts; one vector of length 1 for each, in order. Words beyond the model's length are cut.
    ///
    /// # Errors
    /// When the tokenizer does not belong to the model.
    pub fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let ids = texts.iter().map(|t| self.tokenizer.encode(t)).collect::<Result<Vec<_>>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let output = self.text.forward(&ids)?;
        // `load` always asks for the projection
        let rows = output.projected.unwrap_or(output.pooled).to_vec2::<f32>()?;
        Ok(rows.into_iter().map(unit).collect())
    }
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    row
}
