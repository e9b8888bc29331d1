//! CLIP's vision transformer.
use super::config::ClipVisionConfig;
use super::encoder::{Encoder, EncoderShape};
use crate::error::{Error, Result};
use crate::nn::{Activation, LayerNorm, Linear};
use crate::weights::Weights;
use candle_core::Tensor;
use std::path::Path;

/// CLIP's vision transformer with its projection, as transformers' `CLIPVisionModelWithProjection`.
///
/// A picture's result does not depend on its neighbours in a batch, nor on the CPU or its threads.
pub struct ClipVision {
    patches: Linear,
    /// `[1, 1, hidden]`
    class: Tensor,
    /// `[patches + 1, hidden]`
    positions: Tensor,
    before: LayerNorm,
    encoder: Encoder,
    after: LayerNorm,
    projection: Linear,
    config: ClipVisionConfig,
}

impl ClipVision {
    /// Reads `vision_model.…` and `visual_projection` to `projection` values; `path` is the configuration for messages.
    ///
    /// # Errors
    /// Names the field or tensor that does not fit.
    pub fn load(w: &Weights, config: &ClipVisionConfig, projection: usize, path: &Path) -> Result<Self> {
        let c = config;
        let refuse = |field: &str, found: usize, expected: String| {
            Err(Error::config(path, &format!("vision_config.{field}"), found, expected))
        };
        if c.num_channels != 3 {
            return refuse("num_channels", c.num_channels, "3 (RGB)".to_string());
        }
        let grid = c.image_size / c.patch_size;
        if grid == 0 {
            return refuse("patch_size", c.patch_size, format!("at most image_size {}", c.image_size));
        }
        let (h, eps, model) = (c.hidden_size, c.layer_norm_eps, w.pp("vision_model"));
        let shape = EncoderShape {
            layers: c.num_hidden_layers,
            hidden: h,
            intermediate: c.intermediate_size,
            heads: c.num_attention_heads,
            eps,
            act: Activation::parse(&c.hidden_act, path)?,
        };
        let embeddings = model.pp("embeddings");
        Ok(Self {
            patches: Linear::load_patches(
                &embeddings.pp("patch_embedding"),
                c.num_channels,
                c.patch_size,
                h,
            )?,
            class: embeddings.get(&[h], "class_embedding")?.reshape((1, 1, h))?,
            positions: embeddings.get(&[grid * grid + 1, h], "position_embedding.weight")?,
            // spelled so in every CLIP checkpoint
            before: LayerNorm::load(&model.pp("pre_layrnorm"), h, eps)?,
            encoder: Encoder::load(&model.pp("encoder"), shape)?,
            after: LayerNorm::load(&model.pp("post_layernorm"), h, eps)?,
            projection: Linear::load(&w.pp("visual_projection"), h, projection, false)?,
            config: c.clone(),
        })
    }

    /// Side of the pictures in pixels.
    pub fn side(&self) -> usize {
        self.config.image_size
    }

    /// Embeds preprocessed pictures, `[batch, 3, side, side]` → `[batch, projection]`: transformers' `image_embeds` before
    /// they are scaled to length 1.
    ///
    /// # Errors
    /// When the shape is another one.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let (side, patch) = (self.side(), self.config.patch_size);
        let (batch, channels, height, width) = pixels.dims4()?;
        if (channels, height, width) != (self.config.num_channels, side, side) {
            return Err(Error::Request {
                field: "pixels",
                found: format!("{:?}", pixels.dims()),
                expected: format!("[batch, {}, {side}, {side}]", self.config.num_channels),
            });
        }
        let grid = side / patch;
        // pixels beyond the last whole patch are not seen
        let seen = pixels.narrow(2, 0, grid * patch)?.narrow(3, 0, grid * patch)?;
        let rows = seen
            .reshape(vec![batch, channels, grid, patch, grid, patch])?
            .permute(vec![0, 2, 4, 1, 3, 5])?
            .reshape((batch, grid * grid, channels * patch * patch))?;
        let patches = self.patches.forward(&rows)?;
        let class = self.class.broadcast_as((batch, 1, self.config.hidden_size))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let (_, last) = self.encoder.forward(&self.before.forward(&x)?, false)?;
        self.projection.forward(&self.after.forward(&last.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?)
    }
}
