//! Attention over the pixels of a level and over the text (diffusers' `Transformer2DModel`).
use super::config::{Level, UNetConfig};
use crate::error::Result;
use crate::nn::{Geglu, GroupNorm, Heads, LayerNorm, Linear};
use crate::weights::Weights;
use candle_core::Tensor;

/// ε of the group norm in front of a transformer, fixed in diffusers.
const NORM_EPS: f64 = 1e-6;
/// ε of the layer norms in it.
const LAYER_EPS: f64 = 1e-5;

/// Keys and values of the text for one cross-attention: constant over the steps.
pub(super) type KeyValue = (Tensor, Tensor);

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: Heads,
}

impl Attention {
    fn load(w: &Weights, dim: usize, context: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            q: Linear::load(&w.pp("to_q"), dim, dim, false)?,
            k: Linear::load(&w.pp("to_k"), context, dim, false)?,
            v: Linear::load(&w.pp("to_v"), context, dim, false)?,
            out: Linear::load(&w.pp("to_out.0"), dim, dim, true)?,
            heads: Heads::new(w, heads),
        })
    }

    fn key_value(&self, context: &Tensor) -> Result<KeyValue> {
        Ok((self.k.forward(context)?, self.v.forward(context)?))
    }

    fn forward_add(&self, x: &Tensor, (k, v): &KeyValue, residual: &Tensor) -> Result<Tensor> {
        self.out.forward_add(&self.heads.attend(&self.q.forward(x)?, k, v, false)?, residual)
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
            own: Attention::load(&w.pp("attn1"), dim, dim, l.heads)?,
            norm2: LayerNorm::load(&w.pp("norm2"), dim, LAYER_EPS)?,
            text: Attention::load(&w.pp("attn2"), dim, l.context, l.heads)?,
            norm3: LayerNorm::load(&w.pp("norm3"), dim, LAYER_EPS)?,
            gate: Geglu::load(&w.pp("ff.net.0.proj"), dim, 4 * dim)?,
            out: Linear::load(&w.pp("ff.net.2"), 4 * dim, dim, true)?,
        })
    }

    fn forward(&self, x: &Tensor, text: &KeyValue) -> Result<Tensor> {
        let h = self.norm1.forward(x)?;
        let x = self.own.forward_add(&h, &self.own.key_value(&h)?, x)?;
        let x = self.text.forward_add(&self.norm2.forward(&x)?, text, &x)?;
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
