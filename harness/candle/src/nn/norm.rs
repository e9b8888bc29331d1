//! Normalisations; statistics in f32 whatever the compute type.
use crate::error::Result;
use crate::weights::Weights;
use candle_core::{D, DType, Tensor};

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` (`[dim]`).
    pub fn load(w: &Weights, dim: usize, eps: f64) -> Result<Self> {
        let w = w.with_dtype(DType::F32);
        Ok(Self {
            weight: w.get(&[dim], "weight")?,
            bias: w.get(&[dim], "bias")?,
            eps,
        })
    }

    /// `[…, dim]` → the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let f = x.to_dtype(DType::F32)?;
        let f = f.broadcast_sub(&f.mean_keepdim(D::Minus1)?)?;
        let var = f.sqr()?.mean_keepdim(D::Minus1)?;
        let y = f.broadcast_div(&(var + self.eps)?.sqrt()?)?;
        Ok(y.broadcast_mul(&self.weight)?
            .broadcast_add(&self.bias)?
            .to_dtype(x.dtype())?)
    }
}
