//! The pre-norm transformer stack that both sides of CLIP share (`encoder.layers.N`).
use crate::error::Result;
use crate::nn::{Activation, Heads, LayerNorm, Linear};
use crate::weights::Weights;
use candle_core::Tensor;

/// Sizes of a stack.
#[derive(Debug, Clone, Copy)]
pub struct EncoderShape {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Heads of attention; divides `hidden`.
    pub heads: usize,
    /// ε of the layer norms.
    pub eps: f64,
    /// Activation of the MLP.
    pub act: Activation,
}

struct Layer {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// The stack.
pub struct Encoder {
    layers: Vec<Layer>,
    heads: Heads,
    act: Activation,
}

impl Encoder {
    /// Reads `layers.0 …` below `w` (which ends in `encoder`).
    pub fn load(w: &Weights, s: EncoderShape) -> Result<Self> {
        let layer = |i: usize| -> Result<Layer> {
            let w = w.pp(format!("layers.{i}"));
            let proj =
                |name: &str| Linear::load(&w.pp(format!("self_attn.{name}")), s.hidden, s.hidden, true);
            Ok(Layer {
                norm1: LayerNorm::load(&w.pp("layer_norm1"), s.hidden, s.eps)?,
                q: proj("q_proj")?,
                k: proj("k_proj")?,
                v: proj("v_proj")?,
                out: proj("out_proj")?,
                norm2: LayerNorm::load(&w.pp("layer_norm2"), s.hidden, s.eps)?,
                fc1: Linear::load(&w.pp("mlp.fc1"), s.hidden, s.intermediate, true)?,
                fc2: Linear::load(&w.pp("mlp.fc2"), s.intermediate, s.hidden, true)?,
            })
        };
        Ok(Self {
            layers: (0..s.layers).map(layer).collect::<Result<_>>()?,
            heads: Heads::new(w, s.heads),
            act: s.act,
        })
    }

    /// Runs `[batch, tokens, hidden]` through all layers, where `causal` no token sees a later one.
    /// Returns the state before the last layer (transformers' `hidden_states[-2]`) and the one after it.
    pub fn forward(&self, x: &Tensor, causal: bool) -> Result<(Tensor, Tensor)> {
        let (mut before, mut x) = (x.clone(), x.clone());
        for layer in &self.layers {
            before = x;
            x = layer.forward(&before, &self.heads, self.act, causal)?;
        }
        Ok((before, x))
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, heads: &Heads, act: Activation, causal: bool) -> Result<Tensor> {
        let h = self.norm1.forward(x)?;
        let a = heads.attend(&self.q.forward(&h)?, &self.k.forward(&h)?, &self.v.forward(&h)?, causal)?;
        let x = self.out.forward_add(&a, x)?;
        let h = self.fc1.forward_act(&self.norm2.forward(&x)?, act)?;
        self.fc2.forward_add(&h, &x)
    }
}
