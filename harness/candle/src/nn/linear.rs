//! Fully connected layer, y = x·Wᵀ + b.
use super::act::{Activation, geglu};
use crate::cpu::{Finish, Packed, Product, Source};
use crate::cuda::Cuda;
use crate::error::Result;
use crate::weights::Weights;
use candle_core::Tensor;

/// Weights as the device wants them.
enum Kernel {
    /// candle's own operations.
    Plain { weight: Tensor, bias: Option<Tensor> },
    /// Fused on the CPU.
    Fused(Packed),
    /// Fused on an NVIDIA GPU; `weight` is `[out, inp]`.
    Cuda { cuda: Cuda, weight: Tensor, bias: Option<Tensor> },
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

    /// Reads a convolution whose stride is its size (`weight` `[out, channels, side, side]`, no bias) as the matrix it is
    /// to patches of `channels·side·side` values in that order.
    pub fn load_patches(w: &Weights, channels: usize, side: usize, out: usize) -> Result<Self> {
        Self::read(w, &[out, channels, side, side], false, false)
    }

    /// Reads several layers of the same input as one whose outputs lie side by side; only where there is a GPU.
    pub(crate) fn load_stacked(layers: &[Weights], inp: usize, out: usize) -> Result<Option<Self>> {
        let Some(cuda) = layers.first().and_then(|w| w.cuda_for(&[inp, out])) else { return Ok(None) };
        let read = || layers.iter().map(|w| w.get(&[out, inp], "weight")).collect::<Result<Vec<_>>>();
        let weight = Tensor::cat(&cuda.aside(read)?, 0)?;
        Ok(Some(Self { kernel: Kernel::Cuda { cuda, weight, bias: None } }))
    }

    /// Adds `more` (`[out]`) to the bias; only on a GPU.
    pub(crate) fn absorb(&mut self, more: &Tensor) -> Result<()> {
        if let Kernel::Cuda { bias, .. } = &mut self.kernel {
            *bias = Some(match bias {
                Some(b) => (&*b + more)?,
                None => more.clone(),
            });
        }
        Ok(())
    }

    fn read(w: &Weights, shape: &[usize], bias: bool, gated: bool) -> Result<Self> {
        let (out, inp) = (shape[0], shape[1..].iter().product());
        if w.is_unread() {
            // Turning the matrix would take the memory that looking at it is to spare.
            let weight = w.get(shape, "weight")?;
            let bias = if bias { Some(w.get(&[out], "bias")?) } else { None };
            return Ok(Self { kernel: Kernel::Plain { weight, bias } });
        }
        let kernel = if let Some(cuda) = w.cuda_for(&[inp, out]) {
            let weight = w.get(shape, "weight")?.reshape((out, inp))?;
            Kernel::Cuda { cuda, weight, bias: if bias { Some(w.get(&[out], "bias")?) } else { None } }
        } else if w.fused() {
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
            Kernel::Cuda { cuda, weight, bias } => Ok(cuda.linear(x, weight, bias.as_ref(), None)?),
        }
    }

    /// The layer, plus `residual` of the result's shape.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Plain { weight, bias } => Ok((plain(x, weight, bias.as_ref())? + residual)?),
            Kernel::Fused(w) => Ok(x.apply_op2_no_bwd(residual, &Product { w, finish: Finish::None })?),
            Kernel::Cuda { cuda, weight, bias } => {
                Ok(cuda.linear(x, weight, bias.as_ref(), Some(residual))?)
            }
        }
    }

    /// The layer and its activation.
    pub fn forward_act(&self, x: &Tensor, act: Activation) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Plain { weight, bias } => act.apply(&plain(x, weight, bias.as_ref())?),
            Kernel::Fused(w) => Ok(x.apply_op1_no_bwd(&Product { w, finish: act.finish() })?),
            Kernel::Cuda { cuda, weight, bias } => {
                Ok(cuda.activate(cuda.linear(x, weight, bias.as_ref(), None)?, act)?)
            }
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
            Kernel::Cuda { cuda, weight, bias } => {
                Ok(cuda.geglu(&cuda.linear(x, weight, bias.as_ref(), None)?)?)
            }
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
