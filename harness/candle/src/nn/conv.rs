//! Two-dimensional convolution on channels-last images.
use crate::error::Result;
use crate::weights::Weights;
use candle_core::Tensor;

/// Convolution with a square kernel and padding k/2.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
}

impl Conv2d {
    /// Reads `weight` (`[out, inp, kernel, kernel]`) and `bias` (`[out]`).
    pub fn load(w: &Weights, inp: usize, out: usize, kernel: usize, stride: usize) -> Result<Self> {
        Ok(Self {
            weight: w.get(&[out, inp, kernel, kernel], "weight")?,
            bias: w.get(&[out], "bias")?,
            stride,
        })
    }

    /// `[batch, h, w, inp]` → `[batch, h′, w′, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_add(x, None, None)
    }

    /// The convolution, plus `shift` per image and channel (`[batch, out]`), plus `residual` of the result's shape.
    pub fn forward_add(
        &self,
        x: &Tensor,
        shift: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (out, _, kernel, _) = self.weight.dims4()?;
        let y = x.permute((0, 3, 1, 2))?.contiguous()?.conv2d(&self.weight, kernel / 2, self.stride, 1, 1)?;
        let bias = match shift {
            Some(s) => s.broadcast_add(&self.bias)?.reshape(((), 1, 1, out))?,
            None => self.bias.reshape((1, 1, 1, out))?,
        };
        let y = y.permute((0, 2, 3, 1))?.broadcast_add(&bias)?.contiguous()?;
        Ok(match residual {
            Some(r) => (y + r)?,
            None => y,
        })
    }
}

/// Nearest-neighbour enlargement of `[batch, h, w, c]` to `height` × `width`: pixel i is taken from ⌊i·h/height⌋.
pub fn resize_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    let index = |from: usize, to: usize| -> Result<Tensor> {
        let rows: Vec<u32> = (0..to).map(|i| (i * from / to) as u32).collect();
        Ok(Tensor::from_vec(rows, to, x.device())?)
    };
    Ok(x.index_select(&index(h, height)?, 1)?.index_select(&index(w, width)?, 2)?)
}
