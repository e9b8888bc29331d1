//! Two-dimensional convolution on channels-last images.
use crate::cpu::{Convolve, Packed, Source};
use crate::cuda::Cuda;
use crate::error::Result;
use crate::weights::Weights;
use candle_core::{DType, Tensor};

/// Weights as the device wants them.
enum Kernel {
    /// candle's own operations.
    Plain { weight: Tensor, bias: Tensor },
    /// Fused on the CPU.
    Fused(Packed),
    /// Fused on an NVIDIA GPU; `weight` is `[out, window, window, inp]`.
    Cuda { cuda: Cuda, weight: Tensor, bias: Option<Tensor> },
}

/// Convolution with a square window.
pub struct Conv2d {
    kernel: Kernel,
    window: usize,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// Reads `weight` (`[out, inp, window, window]`) and `bias` (`[out]`) of a convolution padded by half its window.
    pub fn load(w: &Weights, inp: usize, out: usize, window: usize, stride: usize) -> Result<Self> {
        Self::load_padded(w, inp, out, window, stride, window / 2)
    }

    /// As [`Self::load`], with another number of zeros around the image.
    pub fn load_padded(
        w: &Weights,
        inp: usize,
        out: usize,
        window: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let shape = [out, inp, window, window];
        let kernel = if let Some(cuda) = w.cuda_for(&[]).filter(|_| padding == window / 2) {
            let read = || w.get(&shape, "weight");
            let weight = if window > 1 { cuda.aside(read)? } else { read()? };
            let weight = weight.permute((0, 2, 3, 1))?.contiguous()?;
            Kernel::Cuda { cuda, weight, bias: Some(w.get(&[out], "bias")?) }
        } else if w.fused() {
            let (values, bias) = (w.rounded(&shape, "weight")?, w.rounded(&[out], "bias")?);
            let area = window * window;
            // the inner dimension becomes row and column of the window, then channel
            let mut turned = vec![0f32; values.len()];
            for (to, from) in turned.chunks_exact_mut(area * inp).zip(values.chunks_exact(area * inp)) {
                for (i, v) in from.iter().enumerate() {
                    to[i % area * inp + i / area] = *v;
                }
            }
            let source = Source { values: &turned, down: 1, across: area * inp };
            Kernel::Fused(Packed::new(area * inp, source, &bias))
        } else {
            Kernel::Plain { weight: w.get(&shape, "weight")?, bias: w.get(&[out], "bias")? }
        };
        Ok(Self { kernel, window, stride, padding })
    }

    /// Takes the bias (`[out]`) out for somebody else to add; only on a GPU.
    pub(crate) fn take_bias(&mut self) -> Option<Tensor> {
        match &mut self.kernel {
            Kernel::Cuda { bias, .. } => bias.take(),
            _ => None,
        }
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

    /// `[batch, h, w, inp]` → `[batch, h′, w′, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, None, None)
    }

    /// The convolution, plus `shift` per image and channel (`[batch, out]`), plus `residual` of the result's shape.
    pub fn forward_add(
        &self,
        x: &Tensor,
        shift: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.run(x, None, shift, residual)
    }

    /// The convolution of `x` enlarged to `height` × `width` by repeating pixels.
    pub fn forward_enlarged(&self, x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        self.run(x, Some((height, width)), None, None)
    }

    fn run(
        &self,
        x: &Tensor,
        enlarged: Option<(usize, usize)>,
        shift: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (weight, bias) = match &self.kernel {
            Kernel::Fused(w) => {
                let shift = shift.map(|s| s.to_dtype(DType::F32)?.flatten_all()?.to_vec1()).transpose()?;
                let Self { window: kernel, stride, padding, .. } = *self;
                let op = Convolve { w, kernel, stride, padding, enlarged, shift };
                return Ok(match residual {
                    Some(r) => x.apply_op2_no_bwd(r, &op)?,
                    None => x.apply_op1_no_bwd(&op)?,
                });
            }
            Kernel::Cuda { cuda, weight, bias } => {
                let big;
                let x = match enlarged {
                    Some((height, width)) => {
                        big = cuda.enlarge(x, height, width)?;
                        &big
                    }
                    None => x,
                };
                let y = cuda.convolve(x, weight, bias.as_ref(), self.stride, residual)?;
                return Ok(match shift {
                    Some(s) => y.broadcast_add(&s.unsqueeze(1)?.unsqueeze(1)?)?,
                    None => y,
                });
            }
            Kernel::Plain { weight, bias } => (weight, bias),
        };
        let x = match enlarged {
            Some((height, width)) => resize_nearest(x, height, width)?,
            None => x.clone(),
        };
        let out = weight.dim(0)?;
        let y = x.permute((0, 3, 1, 2))?.contiguous()?.conv2d(weight, self.padding, self.stride, 1, 1)?;
        let bias = match shift {
            Some(s) => s.broadcast_add(bias)?.reshape(((), 1, 1, out))?,
            None => bias.reshape((1, 1, 1, out))?,
        };
        let y = y.permute((0, 2, 3, 1))?.broadcast_add(&bias)?.contiguous()?;
        Ok(match residual {
            Some(r) => (y + r)?,
            None => y,
        })
    }
}

/// Nearest-neighbour enlargement of `[batch, h, w, c]` to `height` × `width`: pixel i is taken from ⌊i·h/height⌋.
fn resize_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    let index = |from: usize, to: usize| -> Result<Tensor> {
        let rows: Vec<u32> = (0..to).map(|i| (i * from / to) as u32).collect();
        Ok(Tensor::from_vec(rows, to, x.device())?)
    };
    Ok(x.index_select(&index(h, height)?, 1)?.index_select(&index(w, width)?, 2)?)
}
