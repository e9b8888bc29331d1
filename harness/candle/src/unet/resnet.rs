//! The residual block that UNet and VAE share (diffusers' `ResnetBlock2D`).
use crate::error::Result;
use crate::nn::{Conv2d, GroupNorm, Linear};
use crate::weights::Weights;
use candle_core::Tensor;

/// Sizes of a residual block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResnetShape {
    pub(crate) inp: usize,
    pub(crate) out: usize,
    /// Width of the time embedding, `None` in a VAE.
    pub(crate) time: Option<usize>,
    pub(crate) groups: usize,
    pub(crate) eps: f64,
}

pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    pub(crate) fn load(w: &Weights, s: ResnetShape) -> Result<Self> {
        let shortcut = s.inp != s.out;
        Ok(Self {
            norm1: GroupNorm::load(&w.pp("norm1"), s.groups, s.inp, s.eps)?,
            conv1: Conv2d::load(&w.pp("conv1"), s.inp, s.out, 3, 1)?,
            time: s.time.map(|t| Linear::load(&w.pp("time_emb_proj"), t, s.out, true)).transpose()?,
            norm2: GroupNorm::load(&w.pp("norm2"), s.groups, s.out, s.eps)?,
            conv2: Conv2d::load(&w.pp("conv2"), s.out, s.out, 3, 1)?,
            shortcut: if shortcut {
                Some(Conv2d::load(&w.pp("conv_shortcut"), s.inp, s.out, 1, 1)?)
            } else {
                None
            },
        })
    }

    /// `[batch, h, w, inp]` → `[batch, h, w, out]`; `time` is the activated embedding `[batch, time]`.
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let shift = match (&self.time, time) {
            (Some(layer), Some(t)) => Some(layer.forward(t)?),
            _ => None,
        };
        let h = self.conv1.forward_add(&self.norm1.forward(x, true)?, shift.as_ref(), None)?;
        let h = self.norm2.forward(&h, true)?;
        let residual = match &self.shortcut {
            Some(s) => s.forward(x)?,
            None => x.clone(),
        };
        self.conv2.forward_add(&h, None, Some(&residual))
    }
}
