//! Fully connected layer, y = x·Wᵀ + b.
use super::act::{Activation, geglu};
use crate::cpu::{Finish, Packed, Product, Source};
use crate::error::Result;
use crate::weights::Weights;
use candle_core::Tensor;

/// Weights as the device wants them.
enum Kernel {
    /// candle's own operations.
    Plain { weight: Tensor, bias: Option<Tensor> },
    /// Fused on the CPU.
    Fused(Packed),
}

/// Fully connected layer.
pub struct Linear {
    kernel: Kernel,
}

impl Linear {
    /// Reads `weight` (`[out, inp]`) and, if asked for, `bias` (`[out]`).
    pub fn load(w: &Weights, inp: usize, out: usize, bias: bool) -> Result<Self> {
        Self::read(w, &[out, inp], bias, false)
    }

    /// Reads a 1×1 convolution (`weight` `[out, inp, 1, 1]`, `bias` `[out]`) as the matrix it is.
    pub fn load_1x1(w: &Weights, inp: usize, out: usize) -> Result<Self> {
        Self::read(w, &[out, inp, 1, 1], true, false)
    }

    fn read(w: &Weights, shape: &[usize], bias: bool, gated: bool) -> Result<Self> {
        let (out, inp) = (shape[0], shape[1]);
        let kernel = if w.fused() {
            let values = w.rounded(shape, "weight")?;
            let bias = if bias { w.rounded(&[out], "bias")? } else { vec![0.0; out] };
            let pack = if gated { Packed::gated } else { Packed::new };
            Kernel::Fused(pack(inp, Source { values: &values, down: 1, across: inp }, &bias))
        } else {
            let weight = w.get(shape, "weight")?.reshape((out, inp))?.t()?.contiguous()?;
            Kernel::Plain { weight, bias: if bias { Some(w.get(&[out], "bias")?) } else { None } }
        };
        Ok(Self { kernel })
    }

    /// `[…, inp]` → `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Plain { weight, bias } => plain(x, weight, bias.as_ref()),
            Kernel::Fused(w) => Ok(x.apply_op1_no_bwd(&Product { w, finish: Finish::None })?),
        }
    }

    /// The layer, plus `residual` of the result's shape.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Plain { weight, bias } => Ok((plain(x, weight, bias.as_ref())? + residual)?),
            Kernel::Fused(w) => Ok(x.apply_op2_no_bwd(residual, &Product { w, finish: Finish::None })?),
        }
    }

    /// The layer and its activation.
    pub fn forward_act(&self, x: &Tensor, act: Activation) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Plain { weight, bias } => act.apply(&plain(x, weight, bias.as_ref())?),
            Kernel::Fused(w) => Ok(x.apply_op1_no_bwd(&Product { w, finish: act.finish() })?),
        }
    }
}

/// Two layers in one matrix, the first times the GELU (with the error function) of the second.
pub struct Geglu(Linear);

impl Geglu {
    /// Reads `weight` (`[2·out, inp]`) and `bias` (`[2·out]`).
    pub fn load(w: &Weights, inp: usize, out: usize) -> Result<Self> {
        Ok(Self(Linear::read(w, &[2 * out, inp], true, true)?))
    }

    /// `[…, inp]` → `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0.kernel {
            Kernel::Plain { weight, bias } => geglu(&plain(x, weight, bias.as_ref())?),
            Kernel::Fused(w) => Ok(x.apply_op1_no_bwd(&Product { w, finish: Finish::Geglu })?),
        }
    }
}

fn plain(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (inp, out) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    let y = x.reshape(((), inp))?.matmul(weight)?;
    let y = match bias {
        Some(b) => y.broadcast_add(b)?,
        None => y,
    };
    if let Some(last) = dims.last_mut() {
        *last = out;
    }
    Ok(y.reshape(dims)?)
}
