//! `config.json` of a VAE as diffusers writes it; absent keys take diffusers' defaults. A `shift_factor` is left alone, as
//! by diffusers' pipeline of SDXL.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// How large what latents are scaled by may be, and its inverse: far beyond what any published model has.
const SIZE: f64 = 1e6;

/// A VAE's architecture and the scaling of its latents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of the picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels per level, from the finest to the coarsest.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// Latents are divided by this before decoding.
    pub scaling_factor: f64,
    /// Mean per latent channel, where latents are normalised by channel.
    pub latents_mean: Option<Vec<f64>>,
    /// Standard deviation per latent channel.
    pub latents_std: Option<Vec<f64>>,
    /// Whether decoding overflows half precision.
    pub force_upcast: bool,
    /// Whether a 1×1 convolution stands before the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the coarsest level has attention.
    pub mid_block_add_attention: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            latents_mean: None,
            latents_std: None,
            force_upcast: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl VaeConfig {
    /// Reads and checks a VAE's `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let raw: Map<String, Value> = read_json(path)?;
        let bad =
            |field: &str, found: String, expected: &str| Err(Error::config(path, field, found, expected));
        if let Some(act) = raw.get("act_fn").and_then(Value::as_str)
            && !["silu", "swish"].contains(&act)
        {
            return bad("act_fn", format!("`{act}`"), "`silu`");
        }
        if let Some(types) = raw.get("up_block_types").and_then(Value::as_array)
            && let Some(other) = types.iter().find(|t| t.as_str() != Some("UpDecoderBlock2D"))
        {
            return bad("up_block_types", other.to_string(), "`UpDecoderBlock2D` only");
        }
        let c: Self = read_json(path)?;
        Error::bound(path, "block_out_channels (levels)", c.block_out_channels.len(), limits::LEVELS)?;
        for (field, found, most) in [
            ("latent_channels", c.latent_channels, limits::WIDTH),
            ("layers_per_block", c.layers_per_block, limits::LAYERS),
            ("norm_num_groups", c.norm_num_groups, limits::WIDTH),
        ] {
            Error::bound(path, field, found, most)?;
        }
        for &channels in &c.block_out_channels {
            Error::bound(path, "block_out_channels", channels, limits::WIDTH)?;
            if !channels.is_multiple_of(c.norm_num_groups) {
                let expected = format!("a divisor of {channels} channels");
                return bad("norm_num_groups", c.norm_num_groups.to_string(), &expected);
            }
        }
        if c.out_channels != 3 {
            return bad("out_channels", c.out_channels.to_string(), "3 (red, green, blue)");
        }
        if !(1.0 / SIZE..=SIZE).contains(&c.scaling_factor.abs()) {
            return bad("scaling_factor", c.scaling_factor.to_string(), "a size from 0.000001 to 1,000,000");
        }
        for (field, list) in [("latents_mean", &c.latents_mean), ("latents_std", &c.latents_std)] {
            let Some(list) = list else { continue };
            if list.len() != c.latent_channels {
                return bad(field, format!("{} numbers", list.len()), "one per latent channel");
            }
            if let Some(large) = list.iter().find(|number| number.abs() > SIZE) {
                return bad(field, large.to_string(), "sizes of at most 1,000,000");
            }
        }
        Ok(c)
    }

    /// Pixels per latent along a side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}
