//! The decoder's network.
use super::config::VaeConfig;
use crate::error::Result;
use crate::nn::{Conv2d, GroupNorm, Heads, Linear};
use crate::unet::{Resnet, ResnetShape};
use crate::weights::Weights;
use candle_core::{Device, Tensor};

/// ε of all norms, fixed in diffusers.
const EPS: f64 = 1e-6;

/// Single-headed attention over all pixels.
struct Attention {
    norm: GroupNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: Heads,
}

impl Attention {
    fn load(w: &Weights, channels: usize, groups: usize) -> Result<Self> {
        // older checkpoints name the matrices differently
        let old = w.contains("query.weight");
        let linear = |new: &str, before: &str| {
            Linear::load(&w.pp(if old { before } else { new }), channels, channels, true)
        };
        Ok(Self {
            norm: GroupNorm::load(&w.pp("group_norm"), groups, channels, EPS)?,
            q: linear("to_q", "query")?,
            k: linear("to_k", "key")?,
            v: linear("to_v", "value")?,
            out: linear("to_out.0", "proj_attn")?,
            heads: Heads::new(w, 1),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let tokens = x.reshape((b, h * w, c))?;
        let n = self.norm.forward(x, false)?.reshape((b, h * w, c))?;
        let y = self.heads.attend(&self.q.forward(&n)?, &self.k.forward(&n)?, &self.v.forward(&n)?, false)?;
        Ok(self.out.forward_add(&y, &tokens)?.reshape((b, h, w, c))?)
    }
}

struct Level {
    resnets: Vec<Resnet>,
    sampler: Option<Conv2d>,
}

/// Decoder from latents to pictures.
pub struct Vae {
    config: VaeConfig,
    post_quant: Option<Conv2d>,
    conv_in: Conv2d,
    mid: (Resnet, Option<Attention>, Resnet),
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Vae {
    /// Reads the decoder's weights.
    pub fn load(w: &Weights, config: VaeConfig) -> Result<Self> {
        let c = &config;
        let (latent, groups) = (c.latent_channels, c.norm_num_groups);
        let d = w.pp("decoder");
        let resnet =
            |w: Weights, inp, out| Resnet::load(&w, ResnetShape { inp, out, time: None, groups, eps: EPS });
        let coarse = c.block_out_channels[c.block_out_channels.len() - 1];
        let mid = d.pp("mid_block");
        let attention = if c.mid_block_add_attention {
            Some(Attention::load(&mid.pp("attentions.0"), coarse, groups)?)
        } else {
            None
        };
        let mut before = coarse;
        let mut levels = Vec::new();
        for (i, &out) in c.block_out_channels.iter().rev().enumerate() {
            let u = d.pp(format!("up_blocks.{i}"));
            let resnets = (0..=c.layers_per_block)
                .map(|j| resnet(u.pp(format!("resnets.{j}")), if j == 0 { before } else { out }, out))
                .collect::<Result<_>>()?;
            let last = i + 1 == c.block_out_channels.len();
            let sampler =
                if last { None } else { Some(Conv2d::load(&u.pp("upsamplers.0.conv"), out, out, 3, 1)?) };
            levels.push(Level { resnets, sampler });
            before = out;
        }
        Ok(Self {
            post_quant: if c.use_post_quant_conv {
                Some(Conv2d::load(&w.pp("post_quant_conv"), latent, latent, 1, 1)?)
            } else {
                None
            },
            conv_in: Conv2d::load(&d.pp("conv_in"), latent, coarse, 3, 1)?,
            mid: (
                resnet(mid.pp("resnets.0"), coarse, coarse)?,
                attention,
                resnet(mid.pp("resnets.1"), coarse, coarse)?,
            ),
            levels,
            norm_out: GroupNorm::load(&d.pp("conv_norm_out"), groups, before, EPS)?,
            conv_out: Conv2d::load(&d.pp("conv_out"), before, c.out_channels, 3, 1)?,
            config,
        })
    }

    /// The architecture.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Latents as the denoiser leaves them, `[batch, h, w, channels]`, in the units the decoder expects.
    pub fn unscale(&self, latents: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        Ok(match (&c.latents_mean, &c.latents_std) {
            (Some(mean), Some(std)) => {
                let row = |v: &[f64]| {
                    Tensor::new(v, &Device::Cpu)?.to_dtype(latents.dtype())?.to_device(latents.device())
                };
                (latents.broadcast_mul(&row(std)?)? / c.scaling_factor)?.broadcast_add(&row(mean)?)?
            }
            _ => (latents / c.scaling_factor)?,
        })
    }

    /// Decodes unscaled latents `[batch, h, w, channels]` to pictures `[batch, h·factor, w·factor, 3]`, nominally
    /// from −1 to 1.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let x = match &self.post_quant {
            Some(conv) => conv.forward(latents)?,
            None => latents.clone(),
        };
        let x = self.mid.0.forward(&self.conv_in.forward(&x)?, None)?;
        let x = match &self.mid.1 {
            Some(a) => a.forward(&x)?,
            None => x,
        };
        let mut x = self.mid.2.forward(&x, None)?;
        for level in &self.levels {
            for r in &level.resnets {
                x = r.forward(&x, None)?;
            }
            if let Some(s) = &level.sampler {
                let (_, h, w, _) = x.dims4()?;
                x = s.forward_enlarged(&x, 2 * h, 2 * w)?;
            }
        }
        self.conv_out.forward(&self.norm_out.forward(&x, true)?)
    }
}
