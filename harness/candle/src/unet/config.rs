//! `config.json` of a UNet as diffusers writes it; absent keys take diffusers' defaults, values that this engine does
//! not implement are errors.
use super::frequencies::{GUIDANCE_SHIFT, frequencies};
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// One value for all blocks or one per block.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum PerBlock {
    One(usize),
    Each(Vec<usize>),
}

/// As JSON writes it.
impl std::fmt::Display for PerBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(value) => write!(f, "{value}"),
            Self::Each(values) => write!(f, "{values:?}"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Wire {
    in_channels: usize,
    out_channels: usize,
    sample_size: Option<usize>,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    layers_per_block: PerBlock,
    transformer_layers_per_block: PerBlock,
    attention_head_dim: PerBlock,
    num_attention_heads: Option<PerBlock>,
    cross_attention_dim: PerBlock,
    norm_num_groups: usize,
    norm_eps: f64,
    use_linear_projection: bool,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    time_cond_proj_dim: Option<usize>,
    addition_time_embed_dim: Option<usize>,
    projection_class_embeddings_input_dim: Option<usize>,
}

impl Default for Wire {
    fn default() -> Self {
        let types =
            |cross: &str, plain: &str| vec![cross.into(), cross.into(), cross.into(), plain.to_string()];
        let mut up_block_types = types("CrossAttnUpBlock2D", "UpBlock2D");
        up_block_types.reverse();
        Self {
            in_channels: 4,
            out_channels: 4,
            sample_size: None,
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: types("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types,
            layers_per_block: PerBlock::One(2),
            transformer_layers_per_block: PerBlock::One(1),
            attention_head_dim: PerBlock::One(8),
            num_attention_heads: None,
            cross_attention_dim: PerBlock::One(1280),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            use_linear_projection: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            time_cond_proj_dim: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
        }
    }
}

/// Keys that change the architecture, and the values (as JSON) that this engine implements; the first is the default.
const ONLY: &[(&str, &[&str])] = &[
    ("addition_embed_type", &["null", "\"text_time\""]),
    ("act_fn", &["\"silu\"", "\"swish\""]),
    ("attention_type", &["\"default\""]),
    ("center_input_sample", &["false"]),
    ("class_embed_type", &["null"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("cross_attention_norm", &["null"]),
    ("downsample_padding", &["1"]),
    ("dual_cross_attention", &["false"]),
    ("encoder_hid_dim", &["null"]),
    ("encoder_hid_dim_type", &["null"]),
    ("mid_block_only_cross_attention", &["null", "false"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("mid_block_type", &["\"UNetMidBlock2DCrossAttn\""]),
    ("num_class_embeds", &["null"]),
    ("only_cross_attention", &["false"]),
    ("resnet_out_scale_factor", &["1.0", "1"]),
    ("resnet_skip_time_act", &["false"]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("reverse_transformer_layers_per_block", &["null"]),
    ("time_embedding_act_fn", &["null"]),
    ("time_embedding_dim", &["null"]),
    ("time_embedding_type", &["\"positional\""]),
    ("timestep_post_act", &["null"]),
];

/// One resolution level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Channels.
    pub channels: usize,
    /// Residual blocks on the way down (one more on the way up).
    pub layers: usize,
    /// Transformer blocks per attention.
    pub depth: usize,
    /// Heads of attention; divides `channels`.
    pub heads: usize,
    /// Width of the text states.
    pub context: usize,
    /// Whether the way down has cross-attention.
    pub down_attention: bool,
    /// Whether the way up has cross-attention.
    pub up_attention: bool,
}

/// A UNet's architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetConfig {
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Side of the latents the model was trained at, where the configuration says.
    pub sample_size: Option<usize>,
    /// Levels from the finest to the coarsest.
    pub levels: Vec<Level>,
    /// Groups of the group norms.
    pub groups: usize,
    /// ε of the residual blocks' norms.
    pub eps: f64,
    /// Whether transformers project by a matrix (else by a 1×1 convolution, which is the same arithmetic).
    pub linear_projection: bool,
    /// Whether the time sinusoid starts with the cosines.
    pub cosine_first: bool,
    /// Shift of the sinusoid's frequencies.
    pub freq_shift: f64,
    /// Width of the sinusoid of the guidance scale, where the model was distilled to take it as an input.
    pub guidance_embed: Option<usize>,
    /// Width of the sinusoid of each of the six size numbers.
    pub size_embed: usize,
    /// Width of the pooled text plus the six sinusoids.
    pub added: usize,
}

impl UNetConfig {
    /// Reads and checks a UNet's `config.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let raw: Map<String, Value> = read_json(path)?;
        let bad = |field: &str, found: &dyn std::fmt::Display, expected: &str| {
            Error::config(path, field, found, expected)
        };
        for (key, allowed) in ONLY {
            let found = raw.get(*key).map_or_else(|| allowed[0].to_string(), Value::to_string);
            if !allowed.contains(&found.as_str()) {
                return Err(bad(key, &found, &allowed.join(" or ")));
            }
        }
        if raw.get("addition_embed_type").and_then(Value::as_str) != Some("text_time") {
            return Err(bad("addition_embed_type", &"null", "\"text_time\" (this engine runs SDXL)"));
        }
        let names_channels = raw.contains_key("block_out_channels");
        let w: Wire = read_json(path)?;
        let n = w.block_out_channels.len();
        // The default has four blocks; of another number, nothing else in the file is to blame.
        if !names_channels && w.down_block_types.len() != n {
            let expected = format!("{} numbers, one per block of down_block_types", w.down_block_types.len());
            return Err(bad("block_out_channels", &"nothing", &expected));
        }
        Error::bound(path, "block_out_channels (levels)", n, limits::LEVELS)?;
        let each = |field: &str, v: &PerBlock, most: usize| -> Result<Vec<usize>> {
            let values = match v {
                PerBlock::One(x) => vec![*x; n],
                PerBlock::Each(xs) => xs.clone(),
            };
            if values.len() != n {
                return Err(bad(
                    field,
                    &format!("{} numbers", values.len()),
                    &format!("one, or {n} of them"),
                ));
            }
            values.iter().try_for_each(|&value| Error::bound(path, field, value, most))?;
            Ok(values)
        };
        let channels = each("block_out_channels", &PerBlock::Each(w.block_out_channels), limits::WIDTH)?;
        let layers = each("layers_per_block", &w.layers_per_block, limits::LAYERS)?;
        let depth = each("transformer_layers_per_block", &w.transformer_layers_per_block, limits::LAYERS)?;
        // diffusers names the number of heads `attention_head_dim` for historical reasons
        let heads = w.num_attention_heads.as_ref().unwrap_or(&w.attention_head_dim);
        let heads = each("attention_head_dim", heads, limits::WIDTH)?;
        let context = each("cross_attention_dim", &w.cross_attention_dim, limits::WIDTH)?;
        let attention = |field: &str, types: &[String], cross: &str, plain: &str| -> Result<Vec<bool>> {
            if types.len() != n {
                return Err(bad(
                    field,
                    &format!("{} blocks", types.len()),
                    &format!("{n}, as in block_out_channels"),
                ));
            }
            types
                .iter()
                .map(|t| match t {
                    t if t == cross => Ok(true),
                    t if t == plain => Ok(false),
                    t => Err(bad(field, &format!("`{t}`"), &format!("`{cross}` or `{plain}`"))),
                })
                .collect()
        };
        let down = attention("down_block_types", &w.down_block_types, "CrossAttnDownBlock2D", "DownBlock2D")?;
        let up = attention("up_block_types", &w.up_block_types, "CrossAttnUpBlock2D", "UpBlock2D")?;
        let levels: Vec<Level> = (0..n)
            .map(|i| Level {
                channels: channels[i],
                layers: layers[i],
                depth: depth[i],
                heads: heads[i],
                context: context[i],
                down_attention: down[i],
                up_attention: up[n - 1 - i],
            })
            .collect();
        for (i, l) in levels.iter().enumerate() {
            if w.norm_num_groups == 0 || !l.channels.is_multiple_of(w.norm_num_groups) {
                let expected = format!("a divisor of {} channels (block {i})", l.channels);
                return Err(bad("norm_num_groups", &w.norm_num_groups, &expected));
            }
            let attends = l.down_attention || l.up_attention || i + 1 == n;
            if attends && !l.channels.is_multiple_of(l.heads) {
                return Err(bad(
                    "attention_head_dim",
                    &l.heads,
                    &format!("a divisor of {} channels (block {i})", l.channels),
                ));
            }
        }
        for (field, found, most) in [
            ("in_channels", w.in_channels, limits::WIDTH),
            ("out_channels", w.out_channels, limits::WIDTH),
            ("sample_size", w.sample_size.unwrap_or(1), limits::SIDE),
        ] {
            Error::bound(path, field, found, most)?;
        }
        let required = |field: &str, v: Option<usize>| -> Result<usize> {
            let found = v.ok_or_else(|| bad(field, &"null", "a positive number"))?;
            Error::bound(path, field, found, limits::WIDTH)?;
            Ok(found)
        };
        Error::epsilon(path, "norm_eps", w.norm_eps)?;
        if let Some(width) = w.time_cond_proj_dim {
            Error::bound(path, "time_cond_proj_dim", width, limits::WIDTH)?;
        }
        let size_embed = required("addition_time_embed_dim", w.addition_time_embed_dim)?;
        let shifted = [levels[0].channels, size_embed].map(|channels| ("freq_shift", channels, w.freq_shift));
        let guided = w.time_cond_proj_dim.map(|channels| ("time_cond_proj_dim", channels, GUIDANCE_SHIFT));
        for (field, channels, shift) in shifted.into_iter().chain(guided) {
            // Neither times nor sides nor guidance scales are as large.
            let bounded = |f: &f32| (f * 1e9).is_finite();
            if !frequencies(channels, shift).iter().all(bounded) {
                let found = format!("sinusoids of {channels} channels, shifted by {shift}");
                return Err(bad(
                    field,
                    &found,
                    "frequencies that are numbers: more channels, or another shift",
                ));
            }
        }
        Ok(Self {
            in_channels: w.in_channels,
            out_channels: w.out_channels,
            sample_size: w.sample_size,
            levels,
            groups: w.norm_num_groups,
            eps: w.norm_eps,
            linear_projection: w.use_linear_projection,
            cosine_first: w.flip_sin_to_cos,
            freq_shift: w.freq_shift,
            guidance_embed: w.time_cond_proj_dim,
            size_embed,
            added: required(
                "projection_class_embeddings_input_dim",
                w.projection_class_embeddings_input_dim,
            )?,
        })
    }
}
