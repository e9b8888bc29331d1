//! Normalisations; statistics in f32 whatever the compute type.
use crate::cpu::{GroupNormOp, LayerNormOp};
use crate::cuda::Cuda;
use crate::error::{Error, Result};
use crate::weights::Weights;
use candle_core::{D, DType, Tensor};

/// Scale and shift per channel, where they are needed.
#[derive(Debug, Clone)]
enum Affine {
    Plain(Tensor, Tensor),
    Fused(Vec<f32>, Vec<f32>),
    Cuda(Cuda, Tensor, Tensor),
}

impl Affine {
    /// Reads `weight` and `bias` (`[dim]`), rounded to the compute type, as f32.
    fn load(w: &Weights, dim: usize) -> Result<Self> {
        Ok(if let Some(cuda) = w.cuda_for(&[dim]).filter(|_| dim * w.dtype().size_in_bytes() <= 6144) {
            Self::Cuda(cuda, w.get(&[dim], "weight")?, w.get(&[dim], "bias")?)
        } else if w.fused() {
            Self::Fused(w.rounded(&[dim], "weight")?, w.rounded(&[dim], "bias")?)
        } else {
            let get = |name| Ok::<_, Error>(w.get(&[dim], name)?.to_dtype(DType::F32)?);
            Self::Plain(get("weight")?, get("bias")?)
        })
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    affine: Affine,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` (`[dim]`).
    pub fn load(w: &Weights, dim: usize, eps: f64) -> Result<Self> {
        Ok(Self { affine: Affine::load(w, dim)?, eps })
    }

    /// `[…, dim]` → the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = match &self.affine {
            Affine::Fused(weight, bias) => {
                return Ok(x.apply_op1_no_bwd(&LayerNormOp { weight, bias, eps: self.eps })?);
            }
            Affine::Cuda(cuda, weight, bias) => return Ok(cuda.layer_norm(x, (weight, bias), self.eps)?),
            Affine::Plain(weight, bias) => (weight, bias),
        };
        let f = x.to_dtype(DType::F32)?;
        let f = f.broadcast_sub(&f.mean_keepdim(D::Minus1)?)?;
        let var = f.sqr()?.mean_keepdim(D::Minus1)?;
        let y = f.broadcast_div(&(var + self.eps)?.sqrt()?)?;
        Ok(y.broadcast_mul(weight)?.broadcast_add(bias)?.to_dtype(x.dtype())?)
    }
}

/// Normalisation over groups of channels and all pixels of a channels-last image.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    affine: Affine,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Reads `weight` and `bias` (`[channels]`); `groups` must divide `channels`.
    pub fn load(w: &Weights, groups: usize, channels: usize, eps: f64) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let found = format!("{groups} groups for {channels} channels");
            return Err(Error::Config {
                path: w.path().with_file_name("config.json"),
                field: "norm_num_groups".to_string(),
                found,
                expected: "a divisor of every block's channels".to_string(),
            });
        }
        Ok(Self { affine: Affine::load(w, channels)?, groups, eps })
    }

    /// `[batch, h, w, channels]` → the same shape, followed by x·σ(x) if `silu`.
    pub fn forward(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        self.forward_shifted(x, None, silu)
    }

    /// As [`Self::forward`] of `x` plus `shift` per image and channel (`[batch, channels]`).
    pub(crate) fn forward_shifted(&self, x: &Tensor, shift: Option<&Tensor>, silu: bool) -> Result<Tensor> {
        if let Affine::Cuda(cuda, weight, bias) = &self.affine {
            return Ok(cuda.group_norm(x, shift, (weight, bias), self.groups, self.eps, silu)?);
        }
        match shift {
            Some(s) => self.normalise(&x.broadcast_add(&s.unsqueeze(1)?.unsqueeze(1)?)?, silu),
            None => self.normalise(x, silu),
        }
    }

    fn normalise(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        let (weight, bias) = match &self.affine {
            Affine::Fused(weight, bias) => {
                let (groups, eps) = (self.groups, self.eps);
                return Ok(x.apply_op1_no_bwd(&GroupNormOp { weight, bias, groups, eps, silu })?);
            }
            Affine::Cuda(cuda, weight, bias) => {
                return Ok(cuda.group_norm(x, None, (weight, bias), self.groups, self.eps, silu)?);
            }
            Affine::Plain(weight, bias) => (weight, bias),
        };
        let (b, h, w, c) = x.dims4()?;
        let f = x.to_dtype(DType::F32)?.reshape((b, h * w, self.groups, c / self.groups))?;
        let f = f.broadcast_sub(&f.mean_keepdim((1, 3))?)?;
        let var = f.sqr()?.mean_keepdim((1, 3))?;
        let y = f.broadcast_div(&(var + self.eps)?.sqrt()?)?.reshape((b, h, w, c))?;
        let y = y.broadcast_mul(weight)?.broadcast_add(bias)?;
        let y = if silu { y.silu()? } else { y };
        Ok(y.to_dtype(x.dtype())?)
    }
}
