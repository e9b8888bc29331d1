//! Sinusoids of time and size, and the small MLPs behind them.
use super::config::UNetConfig;
use super::frequencies::{GUIDANCE_SHIFT, frequencies};
use crate::error::Result;
use crate::nn::Linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};

/// Sinusoids of `values`, `[values, dim]` (diffusers' `get_timestep_embedding`, computed in f32).
pub(super) fn sinusoid(
    values: &[f32],
    dim: usize,
    c: &UNetConfig,
    device: &Device,
    dtype: DType,
) -> Result<Tensor> {
    let frequencies = frequencies(dim, c.freq_shift);
    let mut out = Vec::with_capacity(values.len() * dim);
    for &v in values {
        let angles: Vec<f32> = frequencies.iter().map(|f| v * f).collect();
        let (sin, cos) = (angles.iter().map(|a| a.sin()), angles.iter().map(|a| a.cos()));
        if c.cosine_first {
            out.extend(cos.chain(sin));
        } else {
            out.extend(sin.chain(cos));
        }
        if dim % 2 == 1 {
            out.push(0.0);
        }
    }
    Ok(Tensor::from_vec(out, (values.len(), dim), &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

/// The sinusoid of a guidance scale, `[1, dim]` (diffusers' `get_guidance_scale_embedding` of the scale less one).
pub(super) fn guidance_sinusoid(scale: f64, dim: usize, device: &Device, dtype: DType) -> Result<Tensor> {
    let value = (scale - 1.0) as f32 * 1000.0;
    let angles: Vec<f32> = frequencies(dim, GUIDANCE_SHIFT).iter().map(|f| value * f).collect();
    let mut out: Vec<f32> = angles.iter().map(|a| a.sin()).chain(angles.iter().map(|a| a.cos())).collect();
    out.resize(dim, 0.0);
    Ok(Tensor::from_vec(out, (1, dim), &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

/// Two layers with SiLU between them (diffusers' `TimestepEmbedding`).
pub(super) struct Embedding {
    first: Linear,
    second: Linear,
}

impl Embedding {
    pub(super) fn load(w: &Weights, inp: usize, out: usize) -> Result<Self> {
        Ok(Self {
            first: Linear::load(&w.pp("linear_1"), inp, out, true)?,
            second: Linear::load(&w.pp("linear_2"), out, out, true)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x)?.silu()?)
    }
}
