//! Convolution and pooling on channels-last f32 maps.

use edgemaxx_candle::Result;
use edgemaxx_candle::weights::Weights;
use rayon::prelude::*;

use crate::product::{Product, Strided};

/// A map `[height, width, channels]`.
pub(super) struct Map {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) values: Vec<f32>,
}

/// Side, stride and zero padding of a window.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) side: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Window {
    /// Length after sliding over `length`; 0 when the window does not fit.
    pub(super) fn slide(self, length: usize) -> usize {
        (length + 2 * self.padding).checked_sub(self.side).map_or(0, |rest| rest / self.stride + 1)
    }
}

/// A convolution followed by ReLU.
pub(super) struct Convolution {
    window: Window,
    from: usize,
    to: usize,
    /// `[to, side, side, from]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Convolution {
    /// Reads torchvision's `features.INDEX.{weight,bias}`.
    pub(super) fn load(w: &Weights, index: usize, from: usize, to: usize, window: Window) -> Result<Self> {
        let w = w.pp(format!("features.{index}"));
        let (side, area) = (window.side, window.side * window.side);
        let stored = w.values(&[to, from, side, side], "weight")?;
        let mut weight = vec![0.0; stored.len()];
        for (filter, out) in stored.chunks_exact(from * area).zip(weight.chunks_exact_mut(from * area)) {
            for (channel, plane) in filter.chunks_exact(area).enumerate() {
                plane.iter().enumerate().for_each(|(at, v)| out[at * from + channel] = *v);
            }
        }
        Ok(Self { window, from, to, weight, bias: w.values(&[to], "bias")? })
    }

    /// Rows of the result are computed side by side, each by one product.
    pub(super) fn forward(&self, x: &Map) -> Map {
        let (height, width) = (self.window.slide(x.height), self.window.slide(x.width));
        let mut values = vec![0.0; height * width * self.to];
        values.par_chunks_mut((width * self.to).max(1)).enumerate().for_each(|(y, out)| {
            let patches = self.patches(x, y, width);
            let k = self.from * self.window.side * self.window.side;
            let product = Product { m: width, n: self.to, k, scale: 1.0, add: false };
            product.run(Strided::dense(&patches, k), Strided::dense(&self.weight, k), out, self.to);
            for pixel in out.chunks_exact_mut(self.to) {
                pixel.iter_mut().zip(&self.bias).for_each(|(v, b)| *v = (*v + b).max(0.0));
            }
        });
        Map { height, width, channels: self.to, values }
    }

    /// The windows of row `y` of the result as rows of a matrix.
    fn patches(&self, x: &Map, y: usize, width: usize) -> Vec<f32> {
        let Window { side, stride, padding } = self.window;
        let mut out = vec![0.0; width * side * side * self.from];
        for (column, patch) in out.chunks_exact_mut(side * side * self.from).enumerate() {
            for (at, pixel) in patch.chunks_exact_mut(self.from).enumerate() {
                let sy = (y * stride + at / side).checked_sub(padding).filter(|v| *v < x.height);
                let sx = (column * stride + at % side).checked_sub(padding).filter(|v| *v < x.width);
                if let (Some(sy), Some(sx)) = (sy, sx) {
                    let from = (sy * x.width + sx) * self.from;
                    pixel.copy_from_slice(&x.values[from..from + self.from]);
                }
            }
        }
        out
    }
}

/// Largest value of every window, for each channel.
pub(super) fn max_pool(x: &Map, window: Window) -> Map {
    let (height, width, c) = (window.slide(x.height), window.slide(x.width), x.channels);
    let mut values = vec![f32::NEG_INFINITY; height * width * c];
    values.par_chunks_mut((width * c).max(1)).enumerate().for_each(|(y, out)| {
        for (column, pixel) in out.chunks_exact_mut(c).enumerate() {
            for at in 0..window.side * window.side {
                let sy = y * window.stride + at / window.side;
                let sx = column * window.stride + at % window.side;
                let from = (sy * x.width + sx) * c;
                pixel.iter_mut().zip(&x.values[from..from + c]).for_each(|(m, v)| *m = m.max(*v));
            }
        }
    });
    Map { height, width, channels: c, values }
}
