//! A whole CLIP: pictures and texts as vectors of length 1 in one space.
use super::vision::ClipVision;
use candle_core::{DType, Device, Tensor};
use edgemaxx_candle::clip::{ClipConfig, ClipText, ClipTokenizer};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{Error, Result};
use std::path::Path;

/// A whole CLIP in f32, from a folder as transformers writes it: `config.json`, `model.safetensors` (single, sharded, or
/// f16 in storage) and the tokenizer's files.
pub struct Clip {
    text: ClipText,
    tokenizer: ClipTokenizer,
    vision: ClipVision,
    projection: usize,
    device: Device,
}

impl Clip {
    /// Reads the folder `dir`.
    ///
    /// # Errors
    /// Names the file, field or tensor that is missing or does not fit.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join("config.json");
        let config = ClipConfig::read(&path)?;
        if config.vision_config.num_channels != 3 {
            return Err(Error::Config {
                path: path.to_path_buf(),
                field: "vision_config.num_channels".into(),
                found: config.vision_config.num_channels.to_string(),
                expected: "3 (RGB)".to_string(),
            });
        }
        let weights = Weights::open_dir(dir, "model", DType::F32, device)?;
        let projection = config.projection_dim;
        Ok(Self {
            text: ClipText::load(&weights, &config.text_config, Some(projection), &path)?,
            tokenizer: ClipTokenizer::load(dir)?,
            vision: ClipVision::load(&weights, &config.vision_config, projection, &path)?,
            projection,
            device: device.clone(),
        })
    }

    /// Side of the pictures in pixels.
    pub fn side(&self) -> usize {
        self.vision.side()
    }

    /// Width of the common space.
    pub fn width(&self) -> usize {
        self.projection
    }

    /// Embeds preprocessed pictures, each `[3, side, side]` channels first; one vector of length 1 for each.
    ///
    /// # Errors
    /// When a picture has another number of values.
    pub fn embed_pixels(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let (channels, side) = (self.vision.channels(), self.vision.side());
        let expected = channels * side * side;
        if let Some(wrong) = pictures.iter().find(|p| p.len() != expected) {
            return Err(Error::Request {
                field: "pixels",
                found: format!("{} values", wrong.len()),
                expected: format!("{expected} ({channels}x{side}x{side})"),
            });
        }
        let shape = (pictures.len(), channels, side, side);
        let pixels = Tensor::from_vec(pictures.concat(), shape, &Device::Cpu)?;
        unit(&self.vision.forward(&pixels.to_device(&self.device)?)?)
    }

    /// Embeds texts; one vector of length 1 for each. Words beyond the model's length are cut.
    ///
    /// # Errors
    /// When the tokenizer does not belong to the model.
    pub fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids = texts.iter().map(|t| self.tokenizer.encode(t)).collect::<Result<Vec<_>>>()?;
        let output = self.text.forward(&ids)?;
        // `load` always asks for the projection
        unit(output.projected.as_ref().unwrap_or(&output.pooled))
    }
}

/// Rows scaled to length 1.
fn unit(rows: &Tensor) -> Result<Vec<Vec<f32>>> {
    let mut rows = rows.to_device(&Device::Cpu)?.to_vec2::<f32>()?;
    for row in &mut rows {
        let length = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
    Ok(rows)
}
