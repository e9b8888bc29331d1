//! Attention over the pixels of a level and over the text (diffusers' `Transformer2DModel`).
use super::config::{Level, UNetConfig};
use crate::cuda::Columns;
use crate::error::Result;
use crate::nn::{Geglu, GroupNorm, Heads, LayerNorm, Linear};
use crate::weights::Weights;
use candle_core::Tensor;

/// ε of the group norm in front of a transformer, fixed in diffusers.
const NORM_EPS: f64 = 1e-6;
/// ε of the layer norms in it.
const LAYER_EPS: f64 = 1e-5;

/// Keys and values of the text for one cross-attention: constant over the steps.
pub(super) enum KeyValue {
    Apart(Tensor, Tensor),
    /// Side by side.
    Stacked(Tensor),
}

impl KeyValue {
    /// The tensors.
    pub(super) fn tensors(&self) -> Vec<&Tensor> {
        match self {
            Self::Apart(k, v) => vec![k, v],
            Self::Stacked(kv) => vec![kv],
        }
    }
}

/// The matrices in front of an attention.
enum Projections {
    Apart {
        q: Linear,
        k: Linear,
        v: Linear,
    },
    /// Queries, keys and values of the same input as one product.
    Own(Linear),
    /// Keys and values of the text as one product.
    Text {
        q: Linear,
        kv: Linear,
    },
}

struct Attention {
    projections: Projections,
    out: Linear,
    heads: Heads,
    dim: usize,
}

impl Attention {
    /// Attention of `dim` channels to themselves (`context` none) or to a text of `context` channels.
    fn load(w: &Weights, dim: usize, context: Option<usize>, heads: usize) -> Result<Self> {
        let [q, k, v] = ["to_q", "to_k", "to_v"].map(|name| w.pp(name));
        let query = |w: &Weights| Linear::load(w, dim, dim, false);
        let stacked = match context {
            None => Linear::load_stacked(&[q.clone(), k.clone(), v.clone()], dim, dim)?.map(Projections::Own),
            Some(c) => Linear::load_stacked(&[k.clone(), v.clone()], c, dim)?
                .map(|kv| Ok::<_, crate::Error>(Projections::Text { q: query(&q)?, kv }))
                .transpose()?,
        };
        let inp = context.unwrap_or(dim);
        let projections = match stacked {
            Some(stacked) => stacked,
            None => Projections::Apart {
                q: query(&q)?,
                k: Linear::load(&k, inp, dim, false)?,
                v: Linear::load(&v, inp, dim, false)?,
            },
        };
        let out = Linear::load(&w.pp("to_out.0"), dim, dim, true)?;
        Ok(Self { projections, out, heads: Heads::new(w, heads), dim })
    }

    /// Keys and values of a text.
    fn key_value(&self, context: &Tensor) -> Result<KeyValue> {
        Ok(match &self.projections {
            Projections::Apart { k, v, .. } => KeyValue::Apart(k.forward(context)?, v.forward(context)?),
            Projections::Own(all) | Projections::Text { kv: all, .. } => {
                KeyValue::Stacked(all.forward(context)?)
            }
        })
    }

    /// Attention of `x` to itself, plus `residual`.
    fn own(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let y = match &self.projections {
            Projections::Apart { q, k, v } => {
                self.heads.attend(&q.forward(x)?, &k.forward(x)?, &v.forward(x)?, false)?
            }
            Projections::Own(all) | Projections::Text { kv: all, .. } => {
                let of = &all.forward(x)?;
                let [q, k, v] = [0, self.dim, 2 * self.dim].map(|start| Columns { of, start });
                self.heads.attend_columns(q, k, v, self.dim)?
            }
        };
        self.out.forward_add(&y, residual)
    }

    /// Attention of `x` to the text, plus `residual`.
    fn text(&self, x: &Tensor, text: &KeyValue, residual: &Tensor) -> Result<Tensor> {
        let (Projections::Apart { q, .. } | Projections::Text { q, .. } | Projections::Own(q)) =
            &self.projections;
        let q = q.forward(x)?;
        let y = match text {
            KeyValue::Apart(k, v) => self.heads.attend(&q, k, v, false)?,
            KeyValue::Stacked(of) => {
                let [k, v] = [0, self.dim].map(|start| Columns { of, start });
                self.heads.attend_columns(Columns::all(&q), k, v, self.dim)?
            }
        };
        self.out.forward_add(&y, residual)
    }
}

struct Block {
    norm1: LayerNorm,
    own: Attention,
    norm2: LayerNorm,
    text: Attention,
    norm3: LayerNorm,
    gate: Geglu,
    out: Linear,
}

impl Block {
    fn load(w: &Weights, l: &Level) -> Result<Self> {
        let dim = l.channels;
        Ok(Self {
            norm1: LayerNorm::load(&w.pp("norm1"), dim, LAYER_EPS)?,
            own: Attention::load(&w.pp("attn1"), dim, None, l.heads)?,
            norm2: LayerNorm::load(&w.pp("norm2"), dim, LAYER_EPS)?,
            text: Attention::load(&w.pp("attn2"), dim, Some(l.context), l.heads)?,
            norm3: LayerNorm::load(&w.pp("norm3"), dim, LAYER_EPS)?,
            gate: Geglu::load(&w.pp("ff.net.0.proj"), dim, 4 * dim)?,
            out: Linear::load(&w.pp("ff.net.2"), 4 * dim, dim, true)?,
        })
    }

    fn forward(&self, x: &Tensor, text: &KeyValue) -> Result<Tensor> {
        let x = self.own.own(&self.norm1.forward(x)?, x)?;
        let x = self.text.text(&self.norm2.forward(&x)?, text, &x)?;
        let h = self.gate.forward(&self.norm3.forward(&x)?)?;
        self.out.forward_add(&h, &x)
    }
}

pub(super) struct Transformer {
    norm: GroupNorm,
    inp: Linear,
    blocks: Vec<Block>,
    out: Linear,
}

impl Transformer {
    pub(super) fn load(w: &Weights, l: &Level, c: &UNetConfig) -> Result<Self> {
        let dim = l.channels;
        // a 1×1 convolution is the same matrix with two more dimensions
        let projection = |name: &str| {
            let w = w.pp(name);
            if c.linear_projection {
                Linear::load(&w, dim, dim, true)
            } else {
                Linear::load_1x1(&w, dim, dim)
            }
        };
        Ok(Self {
            norm: GroupNorm::load(&w.pp("norm"), c.groups, dim, NORM_EPS)?,
            inp: projection("proj_in")?,
            blocks: (0..l.depth)
                .map(|i| Block::load(&w.pp(format!("transformer_blocks.{i}")), l))
                .collect::<Result<_>>()?,
            out: projection("proj_out")?,
        })
    }

    /// Appends the text's keys and values, one pair per block.
    pub(super) fn key_values(&self, context: &Tensor, out: &mut Vec<KeyValue>) -> Result<()> {
        for block in &self.blocks {
            out.push(block.text.key_value(context)?);
        }
        Ok(())
    }

    /// `[batch, h, w, c]` → the same shape; takes one pair per block from `text`.
    pub(super) fn forward<'a>(
        &self,
        x: &Tensor,
        text: &mut impl Iterator<Item = &'a KeyValue>,
    ) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let tokens = x.reshape((b, h * w, c))?;
        let mut y = self.inp.forward(&self.norm.forward(x, false)?.reshape((b, h * w, c))?)?;
        for (block, pair) in self.blocks.iter().zip(text) {
            y = block.forward(&y, pair)?;
        }
        Ok(self.out.forward_add(&y, &tokens)?.reshape((b, h, w, c))?)
    }
}
