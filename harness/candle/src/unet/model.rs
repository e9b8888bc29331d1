//! The whole UNet.
use super::blocks::{Down, Mid, Up};
use super::config::UNetConfig;
use super::embedding::{Embedding, guidance_sinusoid, sinusoid};
use super::transformer::KeyValue;
use crate::error::{Error, Result};
use crate::nn::{Conv2d, GroupNorm, Linear};
use crate::weights::Weights;
use candle_core::{D, Tensor};

/// SDXL's denoiser.
pub struct UNet {
    config: UNetConfig,
    conv_in: Conv2d,
    time: Embedding,
    guidance: Option<Linear>,
    added: Embedding,
    down: Vec<Down>,
    mid: Mid,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// What does not change over the steps of one picture: the text's keys and values in every cross-attention, the embedding
/// of pooled text and sizes, and that of the guidance scale where the model takes it.
pub struct Condition {
    text: Vec<KeyValue>,
    added: Tensor,
    guidance: Option<Tensor>,
}

impl Condition {
    /// Where it lies.
    pub(crate) fn device(&self) -> &candle_core::Device {
        self.added.device()
    }

    /// Overwrites the numbers of this condition with those of another of the same shapes.
    pub(crate) fn overwrite(&self, with: &Self) -> Result<()> {
        let tensors = |c: &Self| -> Vec<Tensor> {
            c.text.iter().flat_map(KeyValue::tensors).chain([&c.added]).chain(&c.guidance).cloned().collect()
        };
        for (mine, other) in tensors(self).iter().zip(&tensors(with)) {
            mine.slice_set(other, 0, 0)?;
        }
        Ok(())
    }
}

impl UNet {
    /// Reads the UNet's weights.
    pub fn load(w: &Weights, config: UNetConfig) -> Result<Self> {
        let c = &config;
        let first = c.levels[0].channels;
        let n = c.levels.len();
        Ok(Self {
            conv_in: Conv2d::load(&w.pp("conv_in"), c.in_channels, first, 3, 1)?,
            time: Embedding::load(&w.pp("time_embedding"), first, 4 * first)?,
            guidance: c
                .guidance_embed
                .map(|width| Linear::load(&w.pp("time_embedding.cond_proj"), width, first, false))
                .transpose()?,
            added: Embedding::load(&w.pp("add_embedding"), c.added, 4 * first)?,
            down: (0..n)
                .map(|i| Down::load(&w.pp(format!("down_blocks.{i}")), i, c))
                .collect::<Result<_>>()?,
            mid: Mid::load(&w.pp("mid_block"), c)?,
            up: (0..n)
                .map(|i| Up::load(&w.pp(format!("up_blocks.{i}")), n - 1 - i, c))
                .collect::<Result<_>>()?,
            norm_out: GroupNorm::load(&w.pp("conv_norm_out"), c.groups, first, c.eps)?,
            conv_out: Conv2d::load(&w.pp("conv_out"), first, c.out_channels, 3, 1)?,
            config,
        })
    }

    /// The architecture.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// Prepares the conditioning of a picture: text states `[batch, tokens, context]`, pooled text `[batch, p]`, and
    /// original height, width, crop top, left, target height, width (the same for the whole batch). The guidance scale
    /// counts where the model takes it as an input ([`UNetConfig::guidance_embed`]).
    pub fn condition(
        &self,
        text: &Tensor,
        pooled: &Tensor,
        sizes: &[f32; 6],
        guidance_scale: f64,
    ) -> Result<Condition> {
        let batch = pooled.dim(0)?;
        // rounded to the compute type first, as diffusers does
        let rounded = Tensor::new(sizes, &candle_core::Device::Cpu)?.to_dtype(pooled.dtype())?;
        let rounded = rounded.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?;
        let sizes =
            sinusoid(&rounded, self.config.size_embed, &self.config, pooled.device(), pooled.dtype())?;
        let sizes = sizes.reshape((1, ()))?.repeat((batch, 1))?;
        let added = Tensor::cat(&[pooled, &sizes], D::Minus1)?;
        let (found, expected) = (added.dim(1)?, self.config.added);
        if found != expected {
            return Err(Error::Request {
                field: "pooled prompt embedding",
                found: format!("{found} numbers with the sizes' sinusoids"),
                expected: format!(
                    "{expected} (projection_class_embeddings_input_dim); text_encoder_2 and unet do not fit"
                ),
            });
        }
        let mut pairs = Vec::new();
        self.down.iter().try_for_each(|b| b.key_values(text, &mut pairs))?;
        self.mid.key_values(text, &mut pairs)?;
        self.up.iter().try_for_each(|b| b.key_values(text, &mut pairs))?;
        let guidance = match (&self.guidance, self.config.guidance_embed) {
            (Some(layer), Some(width)) => {
                let wave = guidance_sinusoid(guidance_scale, width, pooled.device(), pooled.dtype())?;
                Some(layer.forward(&wave)?)
            }
            _ => None,
        };
        Ok(Condition { text: pairs, added: self.added.forward(&added)?, guidance })
    }

    /// Predicts from latents `[batch, h, w, in_channels]` at time `t` (of the training schedule, may be fractional):
    /// `[batch, h, w, out_channels]`.
    pub fn forward(&self, latents: &Tensor, t: f32, condition: &Condition) -> Result<Tensor> {
        self.forward_wave(latents, &self.wave(&[t], condition, latents.device(), latents.dtype())?, condition)
    }

    /// Sinusoids of times, and what the guidance scale adds to them: `[times, n]`.
    pub(crate) fn wave(
        &self,
        times: &[f32],
        condition: &Condition,
        device: &candle_core::Device,
        dtype: candle_core::DType,
    ) -> Result<Tensor> {
        let wave = sinusoid(times, self.config.levels[0].channels, &self.config, device, dtype)?;
        match &condition.guidance {
            Some(guidance) => Ok(wave.broadcast_add(guidance)?),
            None => Ok(wave),
        }
    }

    /// As [`Self::forward`], from the sinusoids of the time, one for all or one per image.
    pub(crate) fn forward_wave(
        &self,
        latents: &Tensor,
        wave: &Tensor,
        condition: &Condition,
    ) -> Result<Tensor> {
        let time = self.time.forward(wave)?.broadcast_add(&condition.added)?.silu()?;
        let mut text = condition.text.iter();
        let mut x = self.conv_in.forward(latents)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &time, &mut text, &mut skips)?;
        }
        x = self.mid.forward(&x, &time, &mut text)?;
        for block in &self.up {
            x = block.forward(x, &time, &mut text, &mut skips)?;
        }
        self.conv_out.forward(&self.norm_out.forward(&x, true)?)
    }
}
