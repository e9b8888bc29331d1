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
    /// On a GPU the bias of `conv1`, which `norm2` adds in passing; where there is a time, its layer has it already.
    late: Option<Tensor>,
}

impl Resnet {
    pub(crate) fn load(w: &Weights, s: ResnetShape) -> Result<Self> {
        let mut conv1 = Conv2d::load(&w.pp("conv1"), s.inp, s.out, 3, 1)?;
        let mut conv2 = Conv2d::load(&w.pp("conv2"), s.out, s.out, 3, 1)?;
        let mut time = s.time.map(|t| Linear::load(&w.pp("time_emb_proj"), t, s.out, true)).transpose()?;
        let mut shortcut = None;
        if s.inp != s.out {
            let mut conv = Conv2d::load(&w.pp("conv_shortcut"), s.inp, s.out, 1, 1)?;
            if let Some(bias) = conv2.take_bias() {
                conv.absorb(&bias)?;
            }
            shortcut = Some(conv);
        }
        let late = conv1.take_bias();
        if let (Some(time), Some(bias)) = (&mut time, &late) {
            time.absorb(bias)?;
        }
        let late = late.map(|bias| bias.unsqueeze(0)).transpose()?;
        let norm1 = GroupNorm::load(&w.pp("norm1"), s.groups, s.inp, s.eps)?;
        let norm2 = GroupNorm::load(&w.pp("norm2"), s.groups, s.out, s.eps)?;
        Ok(Self { norm1, conv1, time, norm2, conv2, shortcut, late })
    }

    /// `[batch, h, w, inp]` → `[batch, h, w, out]`; `time` is the activated embedding `[batch, time]`.
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let shift = match (&self.time, time) {
            (Some(layer), Some(t)) => Some(layer.forward(t)?),
            _ => None,
        };
        if let Some(bias) = &self.late {
            let shift = match shift {
                Some(s) => s,
                None => bias.repeat((x.dim(0)?, 1))?,
            };
            // each value lives as long as it is read: in a decoder they are the largest there are
            let h = {
                let h = self.conv1.forward(&self.norm1.forward(x, true)?)?;
                self.norm2.forward_shifted(&h, Some(&shift), true)?
            };
            return match &self.shortcut {
                // which has both biases
                Some(s) => {
                    let h = self.conv2.forward(&h)?;
                    s.forward_add(x, None, Some(&h))
                }
                None => self.conv2.forward_add(&h, None, Some(x)),
            };
        }
        let h = self.conv1.forward_add(&self.norm1.forward(x, true)?, shift.as_ref(), None)?;
        let h = self.norm2.forward(&h, true)?;
        let residual = match &self.shortcut {
            Some(s) => s.forward(x)?,
            None => x.clone(),
        };
        self.conv2.forward_add(&h, None, Some(&residual))
    }
}
