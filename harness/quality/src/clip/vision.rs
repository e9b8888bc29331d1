//! CLIP's vision transformer in f32, as transformers' `CLIPVisionModelWithProjection`.
//!
//! One picture is computed on one thread, so a picture's vector depends neither on the thread count
//! nor on its neighbours in a batch; pictures run beside each other.

use std::path::Path;

use edgemaxx_candle::clip::ClipVisionConfig;
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{Error, Result};

use super::math::{Activation, add_bias, layer_norm, softmax};
use crate::product::{Product, Strided};

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn load(w: &Weights, name: &str, width: usize) -> Result<Self> {
        let w = w.pp(name);
        Ok(Self { weight: w.values(&[width], "weight")?, bias: w.values(&[width], "bias")? })
    }
}

struct Linear {
    /// `[out, in]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    fn load(w: &Weights, name: &str, from: usize, to: usize) -> Result<Self> {
        let w = w.pp(name);
        Ok(Self { weight: w.values(&[to, from], "weight")?, bias: w.values(&[to], "bias")? })
    }
}

struct Layer {
    norm1: Norm,
    /// Query, key and value as one matrix `[3·hidden, hidden]`.
    qkv: Linear,
    out: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl Layer {
    fn load(w: &Weights, c: &ClipVisionConfig) -> Result<Self> {
        let (h, wide) = (c.hidden_size, c.intermediate_size);
        let mut qkv = Linear { weight: Vec::new(), bias: Vec::new() };
        for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"] {
            let part = Linear::load(w, name, h, h)?;
            qkv.weight.extend(part.weight);
            qkv.bias.extend(part.bias);
        }
        Ok(Self {
            norm1: Norm::load(w, "layer_norm1", h)?,
            qkv,
            out: Linear::load(w, "self_attn.out_proj", h, h)?,
            norm2: Norm::load(w, "layer_norm2", h)?,
            fc1: Linear::load(w, "mlp.fc1", h, wide)?,
            fc2: Linear::load(w, "mlp.fc2", wide, h)?,
        })
    }
}

/// CLIP's vision transformer with its projection.
pub(super) struct Vision {
    /// `[hidden, channels·patch·patch]`: a convolution whose stride is its size is a product.
    patches: Vec<f32>,
    class: Vec<f32>,
    /// `[patches + 1, hidden]`.
    positions: Vec<f32>,
    before: Norm,
    layers: Vec<Layer>,
    after: Norm,
    /// `[projection, hidden]`.
    projection: Vec<f32>,
    width: usize,
    act: Activation,
    config: ClipVisionConfig,
}

/// Room for one picture's states.
struct Room {
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    scores: Vec<f32>,
    wide: Vec<f32>,
}

impl Vision {
    /// Reads `vision_model.…` and `visual_projection` to `projection` values; `path` is the configuration for messages.
    pub(super) fn load(
        w: &Weights,
        config: &ClipVisionConfig,
        projection: usize,
        path: &Path,
    ) -> Result<Self> {
        let c = config;
        let refuse = |field: &str, found: String, expected: String| Error::Config {
            path: path.to_owned(),
            field: format!("vision_config.{field}"),
            found,
            expected,
        };
        if c.num_channels != 3 {
            return Err(refuse("num_channels", c.num_channels.to_string(), "3 (RGB)".into()));
        }
        let grid = c.image_size / c.patch_size;
        if grid == 0 {
            return Err(refuse(
                "patch_size",
                c.patch_size.to_string(),
                format!("at most image_size {}", c.image_size),
            ));
        }
        let act = Activation::parse(&c.hidden_act).ok_or_else(|| {
            refuse("hidden_act", format!("`{}`", c.hidden_act), "`quick_gelu` or `gelu`".into())
        })?;
        let (h, model) = (c.hidden_size, w.pp("vision_model"));
        let embeddings = model.pp("embeddings");
        let kernel = [h, c.num_channels, c.patch_size, c.patch_size];
        Ok(Self {
            patches: embeddings.values(&kernel, "patch_embedding.weight")?,
            class: embeddings.values(&[h], "class_embedding")?,
            positions: embeddings.values(&[grid * grid + 1, h], "position_embedding.weight")?,
            // spelled so in every CLIP checkpoint
            before: Norm::load(&model, "pre_layrnorm", h)?,
            layers: (0..c.num_hidden_layers)
                .map(|i| Layer::load(&model.pp(format!("encoder.layers.{i}")), c))
                .collect::<Result<_>>()?,
            after: Norm::load(&model, "post_layernorm", h)?,
            projection: w.values(&[projection, h], "visual_projection.weight")?,
            width: projection,
            act,
            config: c.clone(),
        })
    }

    /// Side of the input in pixels.
    pub(super) fn side(&self) -> usize {
        self.config.image_size
    }

    /// Embeds one picture `[3, side, side]`, channels first: transformers' `image_embeds` before they
    /// are scaled to length 1.
    ///
    /// # Errors
    /// When the picture has another number of values.
    pub(super) fn embed(&self, pixels: &[f32]) -> Result<Vec<f32>> {
        let expected = self.config.num_channels * self.side() * self.side();
        if pixels.len() != expected {
            return Err(Error::Request {
                field: "pixels",
                found: format!("{} values", pixels.len()),
                expected: expected.to_string(),
            });
        }
        let c = &self.config;
        let (h, grid) = (c.hidden_size, c.image_size / c.patch_size);
        let n = grid * grid + 1;
        let zeros = |len| vec![0.0; len];
        let mut room = Room {
            x: self.positions.clone(),
            normed: zeros(n * h),
            qkv: zeros(n * 3 * h),
            mixed: zeros(n * h),
            scores: zeros(n * n),
            wide: zeros(n * c.intermediate_size),
        };
        room.x[..h].iter_mut().zip(&self.class).for_each(|(x, class)| *x += class);
        let patches = self.unfold(pixels, grid);
        let k = patches.len() / (n - 1);
        let product = Product { m: n - 1, n: h, k, scale: 1.0, add: true };
        product.run(Strided::dense(&patches, k), Strided::dense(&self.patches, k), &mut room.x[h..], h);
        let eps = c.layer_norm_eps as f32;
        layer_norm(&room.x, &mut room.normed, &self.before.weight, &self.before.bias, eps);
        std::mem::swap(&mut room.x, &mut room.normed);
        for layer in &self.layers {
            self.attend(layer, &mut room, n);
            self.widen(layer, &mut room, n);
        }
        let mut pooled = zeros(h);
        layer_norm(&room.x[..h], &mut pooled, &self.after.weight, &self.after.bias, eps);
        let mut out = zeros(self.width);
        let product = Product { m: 1, n: self.width, k: h, scale: 1.0, add: false };
        product.run(Strided::dense(&pooled, h), Strided::dense(&self.projection, h), &mut out, self.width);
        Ok(out)
    }

    /// Patches as rows `[grid², channels·patch·patch]`; what is left over beyond the last is ignored.
    fn unfold(&self, pixels: &[f32], grid: usize) -> Vec<f32> {
        let (side, p) = (self.side(), self.config.patch_size);
        let mut out = Vec::with_capacity(grid * grid * self.config.num_channels * p * p);
        for (gy, gx) in (0..grid).flat_map(|y| (0..grid).map(move |x| (y, x))) {
            for plane in pixels.chunks_exact(side * side) {
                for y in 0..p {
                    let at = (gy * p + y) * side + gx * p;
                    out.extend_from_slice(&plane[at..at + p]);
                }
            }
        }
        out
    }

    /// `x += out(attention(norm(x)))`.
    fn attend(&self, layer: &Layer, room: &mut Room, n: usize) {
        let (h, heads) = (self.config.hidden_size, self.config.num_attention_heads);
        let d = h / heads;
        let Room { x, normed, qkv, mixed, scores, .. } = room;
        layer_norm(x, normed, &layer.norm1.weight, &layer.norm1.bias, self.config.layer_norm_eps as f32);
        let product = Product { m: n, n: 3 * h, k: h, scale: 1.0, add: false };
        product.run(Strided::dense(normed, h), Strided::dense(&layer.qkv.weight, h), qkv, 3 * h);
        add_bias(qkv, &layer.qkv.bias);
        for head in 0..heads {
            let part = |i: usize| &qkv[i * h + head * d..];
            let rows = |i: usize| Strided { values: part(i), row: 3 * h, column: 1 };
            let product = Product { m: n, n, k: d, scale: 1.0 / (d as f32).sqrt(), add: false };
            product.run(rows(0), rows(1), scores, n);
            softmax(scores, n);
            let values = Strided { values: part(2), row: 1, column: 3 * h };
            let product = Product { m: n, n: d, k: n, scale: 1.0, add: false };
            product.run(Strided::dense(scores, n), values, &mut mixed[head * d..], h);
        }
        let product = Product { m: n, n: h, k: h, scale: 1.0, add: true };
        product.run(Strided::dense(mixed, h), Strided::dense(&layer.out.weight, h), x, h);
        add_bias(x, &layer.out.bias);
    }

    /// `x += fc2(act(fc1(norm(x))))`.
    fn widen(&self, layer: &Layer, room: &mut Room, n: usize) {
        let (h, wider) = (self.config.hidden_size, self.config.intermediate_size);
        let Room { x, normed, wide, .. } = room;
        layer_norm(x, normed, &layer.norm2.weight, &layer.norm2.bias, self.config.layer_norm_eps as f32);
        let product = Product { m: n, n: wider, k: h, scale: 1.0, add: false };
        product.run(Strided::dense(normed, h), Strided::dense(&layer.fc1.weight, h), wide, wider);
        self.act.with_bias(wide, &layer.fc1.bias);
        let product = Product { m: n, n: h, k: wider, scale: 1.0, add: true };
        product.run(Strided::dense(wide, wider), Strided::dense(&layer.fc2.weight, wider), x, h);
        add_bias(x, &layer.fc2.bias);
    }
}
