//! The levels of the UNet: down, middle, up.
use super::config::{Level, UNetConfig};
use super::resnet::{Resnet, ResnetShape};
use super::transformer::{KeyValue, Transformer};
use crate::cuda::Cuda;
use crate::error::Result;
use crate::nn::Conv2d;
use crate::weights::Weights;
use candle_core::Tensor;

/// Residual blocks, each with an attention behind it or none has.
struct Stack {
    resnets: Vec<Resnet>,
    attentions: Vec<Transformer>,
}

/// Iterator over the text's keys and values in the order of the attentions.
pub(super) type Text<'a> = std::slice::Iter<'a, KeyValue>;

impl Stack {
    fn load(w: &Weights, inputs: &[usize], l: &Level, attention: bool, c: &UNetConfig) -> Result<Self> {
        let time = Some(4 * c.levels[0].channels);
        let mut stack = Self { resnets: vec![], attentions: vec![] };
        for (j, &inp) in inputs.iter().enumerate() {
            let shape = ResnetShape { inp, out: l.channels, time, groups: c.groups, eps: c.eps };
            stack.resnets.push(Resnet::load(&w.pp(format!("resnets.{j}")), shape)?);
            if attention {
                stack.attentions.push(Transformer::load(&w.pp(format!("attentions.{j}")), l, c)?);
            }
        }
        Ok(stack)
    }

    fn step(&self, j: usize, x: &Tensor, time: &Tensor, text: &mut Text) -> Result<Tensor> {
        let x = self.resnets[j].forward(x, Some(time))?;
        match self.attentions.get(j) {
            Some(t) => t.forward(&x, text),
            None => Ok(x),
        }
    }

    fn key_values(&self, context: &Tensor, out: &mut Vec<KeyValue>) -> Result<()> {
        self.attentions.iter().try_for_each(|t| t.key_values(context, out))
    }
}

pub(super) struct Down {
    stack: Stack,
    sampler: Option<Conv2d>,
}

impl Down {
    pub(super) fn load(w: &Weights, i: usize, c: &UNetConfig) -> Result<Self> {
        let l = &c.levels[i];
        let before = c.levels[i.saturating_sub(1)].channels;
        let inputs: Vec<usize> = (0..l.layers).map(|j| if j == 0 { before } else { l.channels }).collect();
        let last = i + 1 == c.levels.len();
        let sampler = if last {
            None
        } else {
            Some(Conv2d::load(&w.pp("downsamplers.0.conv"), l.channels, l.channels, 3, 2)?)
        };
        Ok(Self { stack: Stack::load(w, &inputs, l, l.down_attention, c)?, sampler })
    }

    pub(super) fn key_values(&self, context: &Tensor, out: &mut Vec<KeyValue>) -> Result<()> {
        self.stack.key_values(context, out)
    }

    /// Runs the level and pushes every state that the way up needs.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        time: &Tensor,
        text: &mut Text,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        for j in 0..self.stack.resnets.len() {
            x = self.stack.step(j, &x, time, text)?;
            skips.push(x.clone());
        }
        if let Some(s) = &self.sampler {
            x = s.forward(&x)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

pub(super) struct Mid {
    stack: Stack,
    last: Resnet,
}

impl Mid {
    pub(super) fn load(w: &Weights, c: &UNetConfig) -> Result<Self> {
        let l = &c.levels[c.levels.len() - 1];
        let time = Some(4 * c.levels[0].channels);
        let shape = ResnetShape { inp: l.channels, out: l.channels, time, groups: c.groups, eps: c.eps };
        Ok(Self {
            stack: Stack::load(w, &[l.channels], l, true, c)?,
            last: Resnet::load(&w.pp("resnets.1"), shape)?,
        })
    }

    pub(super) fn key_values(&self, context: &Tensor, out: &mut Vec<KeyValue>) -> Result<()> {
        self.stack.key_values(context, out)
    }

    pub(super) fn forward(&self, x: &Tensor, time: &Tensor, text: &mut Text) -> Result<Tensor> {
        self.last.forward(&self.stack.step(0, x, time, text)?, Some(time))
    }
}

pub(super) struct Up {
    stack: Stack,
    sampler: Option<Conv2d>,
    cuda: Option<Cuda>,
}

impl Up {
    /// The block of level `i`, which comes after that of level `i + 1`.
    pub(super) fn load(w: &Weights, i: usize, c: &UNetConfig) -> Result<Self> {
        let l = &c.levels[i];
        let before = c.levels[(i + 1).min(c.levels.len() - 1)].channels;
        let finer = c.levels[i.saturating_sub(1)].channels;
        let inputs: Vec<usize> = (0..=l.layers)
            .map(|j| {
                let skip = if j == l.layers { finer } else { l.channels };
                skip + if j == 0 { before } else { l.channels }
            })
            .collect();
        let sampler = if i == 0 {
            None
        } else {
            Some(Conv2d::load(&w.pp("upsamplers.0.conv"), l.channels, l.channels, 3, 1)?)
        };
        let cuda = w.cuda_for(&[before, l.channels, finer]);
        Ok(Self { stack: Stack::load(w, &inputs, l, l.up_attention, c)?, sampler, cuda })
    }

    pub(super) fn key_values(&self, context: &Tensor, out: &mut Vec<KeyValue>) -> Result<()> {
        self.stack.key_values(context, out)
    }

    /// Runs the level, taking its states from the way down off `skips`, and enlarges to the size of the next one.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        time: &Tensor,
        text: &mut Text,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        for j in 0..self.stack.resnets.len() {
            if let Some(skip) = skips.pop() {
                x = match &self.cuda {
                    Some(cuda) => cuda.beside(&x, &skip)?,
                    None => Tensor::cat(&[&x, &skip], 3)?,
                };
            }
            x = self.stack.step(j, &x, time, text)?;
        }
        if let Some(s) = &self.sampler {
            // odd sizes: twice the size would not match the next level's states
            let (h, w) = match skips.last() {
                Some(skip) => (skip.dim(1)?, skip.dim(2)?),
                None => (2 * x.dim(1)?, 2 * x.dim(2)?),
            };
            x = s.forward_enlarged(&x, h, w)?;
        }
        Ok(x)
    }
}
