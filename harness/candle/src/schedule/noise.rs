//! Noise that a solver adds on the way, as diffusers draws it: from PyTorch's CPU generator of the request's seed, after
//! the initial latents, or from a Brownian motion over the noise levels.

use candle_core::{Device, Tensor};
use edgemaxx_contract::noise::TorchNoise;

use super::brownian::Brownian;
use crate::error::Result;

/// Draws one tensor of noise after another.
pub struct Noise {
    seed: u64,
    generator: Option<TorchNoise>,
    motion: Option<Brownian>,
}

impl Noise {
    /// The noise of a picture with this seed, which is that of its initial latents, too.
    pub fn new(seed: u64) -> Self {
        Self { seed, generator: None, motion: None }
    }

    /// The next noise, for a sample `[batch, h, w, channels]`; drawn as `[batch, channels, h, w]`.
    ///
    /// # Errors
    /// The device fails.
    pub fn draw(&mut self, sample: &Tensor) -> Result<Tensor> {
        let len = sample.elem_count();
        let generator = self.generator.get_or_insert_with(|| {
            let mut fresh = TorchNoise::new(self.seed);
            // the initial latents
            fresh.draw(len);
            fresh
        });
        channels_last(generator.draw(len), sample)
    }

    /// Noise of variance 1 for the step between two levels of noise, from the Brownian motion over all levels of the
    /// picture. Its seed is the scheduler's own, else the picture's, where diffusers draws one that no seed decides.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn between(
        &mut self,
        (least, most): (f32, f32),
        seed: Option<u64>,
        (below, above): (f32, f32),
        sample: &Tensor,
    ) -> Result<Tensor> {
        let (seed, len) = (seed.unwrap_or(self.seed), sample.elem_count());
        let motion = self.motion.get_or_insert_with(|| Brownian::new(least.into(), most.into(), seed, len));
        let width = -(above - below).sqrt();
        let way = motion.increment(below.into(), above.into());
        channels_last(way.into_iter().map(|w| w / width).collect(), sample)
    }
}

/// Values `[batch, channels, h, w]` in the order and on the device of a sample `[batch, h, w, channels]`.
fn channels_last(values: Vec<f32>, sample: &Tensor) -> Result<Tensor> {
    let (batch, h, w, channels) = sample.dims4()?;
    let noise = Tensor::from_vec(values, (batch, channels, h, w), &Device::Cpu)?;
    Ok(noise.permute((0, 2, 3, 1))?.contiguous()?.to_device(sample.device())?)
}
