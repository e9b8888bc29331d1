//! CLIP's vision transformer.
use candle_core::Tensor;
use edgemaxx_candle::clip::{ClipVisionConfig, Encoder, EncoderShape};
use edgemaxx_candle::nn::{Activation, LayerNorm, Linear};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{Error, Result};
use std::path::Path;

/// CLIP's vision transformer with its projection.
pub struct ClipVision {
    /// `[hidden, channels·patch·patch]`: the patch convolution, whose stride is its size, as a product.
    patches: Tensor,
    /// `[1, 1, hidden]`.
    class: Tensor,
    /// `[1, patches + 1, hidden]`.
    positions: Tensor,
    before: LayerNorm,
    encoder: Encoder,
    after: LayerNorm,
    projection: Linear,
    channels: usize,
    side: usize,
    patch: usize,
}

impl ClipVision {
    /// Reads `vision_model.…` and `visual_projection` (to width `projection`); `path` is the configuration for messages.
    pub fn load(w: &Weights, config: &ClipVisionConfig, projection: usize, path: &Path) -> Result<Self> {
        let c = config;
        let grid = c.image_size / c.patch_size;
        if grid == 0 {
            return Err(Error::Config {
                path: path.to_path_buf(),
                field: "vision_config.patch_size".into(),
                found: c.patch_size.to_string(),
                expected: format!("at most image_size {}", c.image_size).to_string(),
            });
        }
        let shape = EncoderShape {
            layers: c.num_hidden_layers,
            hidden: c.hidden_size,
            intermediate: c.intermediate_size,
            heads: c.num_attention_heads,
            eps: c.layer_norm_eps,
            act: Activation::parse(&c.hidden_act, path)?,
        };
        let model = w.pp("vision_model");
        let kernel = [c.hidden_size, c.num_channels, c.patch_size, c.patch_size];
        Ok(Self {
            patches: model.get(&kernel, "embeddings.patch_embedding.weight")?.reshape((c.hidden_size, ()))?,
            class: model.get(&[c.hidden_size], "embeddings.class_embedding")?.reshape((1, 1, ()))?,
            positions: model
                .get(&[grid * grid + 1, c.hidden_size], "embeddings.position_embedding.weight")?
                .unsqueeze(0)?,
            // spelled so in every CLIP checkpoint
            before: LayerNorm::load(&model.pp("pre_layrnorm"), c.hidden_size, c.layer_norm_eps)?,
            encoder: Encoder::load(&model.pp("encoder"), shape)?,
            after: LayerNorm::load(&model.pp("post_layernorm"), c.hidden_size, c.layer_norm_eps)?,
            projection: Linear::load(&w.pp("visual_projection"), c.hidden_size, projection, false)?,
            channels: c.num_channels,
            side: c.image_size,
            patch: c.patch_size,
        })
    }

    /// Side of the input in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Colour channels of the input.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Embeds `[batch, channels, side, side]` as `[batch, projection]` (transformers' `image_embeds` before they are
    /// scaled to length 1).
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = pixels.dims4()?;
        if (channels, height, width) != (self.channels, self.side, self.side) {
            return Err(Error::Request {
                field: "pixels",
                found: format!("{channels}x{height}x{width}"),
                expected: format!("{}x{}x{}", self.channels, self.side, self.side),
            });
        }
        let (p, grid) = (self.patch, self.side / self.patch);
        // A convolution without padding ignores what is left over beyond the last whole patch.
        let x = pixels
            .narrow(2, 0, grid * p)?
            .narrow(3, 0, grid * p)?
            .reshape((batch, channels, grid, p, grid, p))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch * grid * grid, channels * p * p))?
            .matmul(&self.patches.t()?)?
            .reshape((batch, grid * grid, ()))?;
        let hidden = x.dim(2)?;
        let x = Tensor::cat(&[&self.class.expand((batch, 1, hidden))?.contiguous()?, &x], 1)?
            .broadcast_add(&self.positions)?;
        let (_, x) = self.encoder.forward(&self.before.forward(&x)?, None)?;
        let pooled = self.after.forward(&x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        self.projection.forward(&pooled)
    }
}
