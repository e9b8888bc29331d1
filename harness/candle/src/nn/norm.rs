//! Normalisations; statistics in f32 whatever the compute type.
use crate::error::{Error, Result};
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
        Ok(Self { weight: w.get(&[dim], "weight")?, bias: w.get(&[dim], "bias")?, eps })
    }

    /// `[…, dim]` → the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let f = x.to_dtype(DType::F32)?;
        let f = f.broadcast_sub(&f.mean_keepdim(D::Minus1)?)?;
        let var = f.sqr()?.mean_keepdim(D::Minus1)?;
        let y = f.broadcast_div(&(var + self.eps)?.sqrt()?)?;
        Ok(y.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?.to_dtype(x.dtype())?)
    }
}

/// Normalisation over groups of channels and all pixels of a channels-last image.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Reads `weight` and `bias` (`[channels]`); `groups` must divide `channels`.
    pub fn load(w: &Weights, groups: usize, channels: usize, eps: f64) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let found = format!("{groups} groups for {channels} channels");
            return Err(Error::Config {
                path: w.path(),
                field: "norm_num_groups".to_string(),
                found,
                expected: "a divisor of every block's channels".to_string(),
            });
        }
        let w = w.with_dtype(DType::F32);
        Ok(Self { weight: w.get(&[channels], "weight")?, bias: w.get(&[channels], "bias")?, groups, eps })
    }

    /// `[batch, h, w, channels]` → the same shape, followed by x·σ(x) if `silu`.
    pub fn forward(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let f = x.to_dtype(DType::F32)?.reshape((b, h * w, self.groups, c / self.groups))?;
        let f = f.broadcast_sub(&f.mean_keepdim((1, 3))?)?;
        let var = f.sqr()?.mean_keepdim((1, 3))?;
        let y = f.broadcast_div(&(var + self.eps)?.sqrt()?)?.reshape((b, h, w, c))?;
        let y = y.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        let y = if silu { y.silu()? } else { y };
        Ok(y.to_dtype(x.dtype())?)
    }
}
