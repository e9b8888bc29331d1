//! `config.json` of CLIP models as transformers writes it; absent keys take transformers' defaults, unknown ones are
//! ignored.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use serde::Deserialize;
use std::path::Path;

/// A text transformer (`CLIPTextModel`, `CLIPTextModelWithProjection`, or the `text_config` of a `CLIPModel`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Width of the projected embedding.
    pub projection_dim: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of attention.
    pub num_attention_heads: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// ε of the layer norms.
    pub layer_norm_eps: f64,
    /// Token whose state is the pooled one; 2 stands for the highest id (see [`crate::clip::ClipText`]).
    pub eos_token_id: u32,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_string(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

/// A vision transformer (the `vision_config` of a `CLIPModel`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Width of the projected embedding.
    pub projection_dim: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of attention.
    pub num_attention_heads: usize,
    /// Colour channels.
    pub num_channels: usize,
    /// Side of the input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// ε of the layer norms.
    pub layer_norm_eps: f64,
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".to_string(),
            layer_norm_eps: 1e-5,
        }
    }
}

/// A whole `CLIPModel`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Text side.
    pub text_config: ClipTextConfig,
    /// Image side.
    pub vision_config: ClipVisionConfig,
    /// Width of the space both sides are projected to.
    pub projection_dim: usize,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            text_config: ClipTextConfig::default(),
            vision_config: ClipVisionConfig::default(),
            projection_dim: 512,
        }
    }
}

/// Checks that heads divide the width and that sizes (field, found, most) are within bounds.
fn check(path: &Path, sizes: &[(&str, usize, usize)], hidden: usize, heads: usize) -> Result<()> {
    for &(field, found, most) in sizes {
        Error::bound(path, field, found, most)?;
    }
    if heads == 0 || !hidden.is_multiple_of(heads) {
        return Err(Error::config(
            path,
            "num_attention_heads",
            heads,
            format!("a divisor of hidden_size {hidden}"),
        ));
    }
    Ok(())
}

impl ClipTextConfig {
    /// Reads and checks a text encoder's `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let config: Self = read_json(path)?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, limits::VOCABULARY),
            ("hidden_size", self.hidden_size, limits::WIDTH),
            ("intermediate_size", self.intermediate_size, limits::INNER_WIDTH),
            ("projection_dim", self.projection_dim, limits::WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, limits::LAYERS),
            ("max_position_embeddings", self.max_position_embeddings, limits::POSITIONS),
        ];
        Error::epsilon(path, "layer_norm_eps", self.layer_norm_eps)?;
        check(path, &sizes, self.hidden_size, self.num_attention_heads)
    }
}

impl ClipConfig {
    /// Reads and checks a `CLIPModel`'s `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let config: Self = read_json(path)?;
        config.text_config.check(path)?;
        let v = &config.vision_config;
        let sizes = [
            ("hidden_size", v.hidden_size, limits::WIDTH),
            ("intermediate_size", v.intermediate_size, limits::INNER_WIDTH),
            ("num_hidden_layers", v.num_hidden_layers, limits::LAYERS),
            ("num_channels", v.num_channels, limits::WIDTH),
            ("image_size", v.image_size, limits::SIDE),
            ("patch_size", v.patch_size, limits::SIDE),
            ("projection_dim", config.projection_dim, limits::WIDTH),
        ];
        Error::epsilon(path, "vision_config.layer_norm_eps", v.layer_norm_eps)?;
        check(path, &sizes, v.hidden_size, v.num_attention_heads)?;
        Ok(config)
    }
}
