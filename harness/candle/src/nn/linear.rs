//! Fully connected layer, y = x·Wᵀ + b.
use crate::error::Result;
use crate::weights::Weights;
use candle_core::Tensor;

/// Fully connected layer.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` (`[out, inp]`) and, if asked for, `bias` (`[out]`).
    pub fn load(w: &Weights, inp: usize, out: usize, bias: bool) -> Result<Self> {
        let bias = if bias { Some(w.get(&[out], "bias")?) } else { None };
        Ok(Self { weight: w.get(&[out, inp], "weight")?, bias })
    }

    /// Reads a 1×1 convolution (`weight` `[out, inp, 1, 1]`, `bias` `[out]`) as the matrix it is.
    pub fn load_1x1(w: &Weights, inp: usize, out: usize) -> Result<Self> {
        let weight = w.get(&[out, inp, 1, 1], "weight")?.reshape((out, inp))?;
        Ok(Self { weight, bias: Some(w.get(&[out], "bias")?) })
    }

    /// `[…, inp]` → `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (out, inp) = self.weight.dims2()?;
        let mut dims = x.dims().to_vec();
        let y = x.reshape(((), inp))?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(b) => y.broadcast_add(b)?,
            None => y,
        };
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok(y.reshape(dims)?)
    }

    /// The layer, plus `residual` of the result's shape.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        Ok((self.forward(x)? + residual)?)
    }
}
