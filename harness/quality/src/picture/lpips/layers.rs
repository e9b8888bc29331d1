//! Convolution and pooling on channels-last f32 maps.

use edgemaxx_candle::nn::Conv2d;
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{Device, Result, Tensor};
use rayon::prelude::*;

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
pub(super) struct Convolution(Conv2d);

impl Convolution {
    /// Reads torchvision's `features.INDEX.{weight,bias}`.
    pub(super) fn load(w: &Weights, index: usize, from: usize, to: usize, window: Window) -> Result<Self> {
        let w = w.pp(format!("features.{index}"));
        Ok(Self(Conv2d::load_padded(&w, from, to, window.side, window.stride, window.padding)?))
    }

    pub(super) fn forward(&self, x: Map) -> Result<Map> {
        let x = Tensor::from_vec(x.values, (1, x.height, x.width, x.channels), &Device::Cpu)?;
        let y = self.0.forward(&x)?.relu()?;
        let (_, height, width, channels) = y.dims4()?;
        Ok(Map { height, width, channels, values: y.flatten_all()?.to_vec1()? })
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
