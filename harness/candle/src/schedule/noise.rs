//! Noise that a solver adds on the way, as diffusers draws it: from PyTorch's CPU generator of the request's seed, after
//! the initial latents.

use candle_core::{Device, Tensor};
use edgemaxx_contract::noise::TorchNoise;

use crate::error::Result;

/// Draws one tensor of noise after another.
pub struct Noise {
    seed: u64,
    generator: Option<TorchNoise>,
}

impl Noise {
    /// The noise of a picture with this seed, which is that of its initial latents, too.
    pub fn new(seed: u64) -> Self {
        Self { seed, generator: None }
    }

    /// The next noise, for a sample `[batch, h, w, channels]`; drawn as `[batch, channels, h, w]`.
    ///
    /// # Errors
    /// The device fails.
    pub fn draw(&mut self, sample: &Tensor) -> Result<Tensor> {
        let (batch, h, w, channels) = sample.dims4()?;
        let len = sample.elem_count();
        let generator = self.generator.get_or_insert_with(|| {
            let mut fresh = TorchNoise::new(self.seed);
            // the initial latents
            fresh.draw(len);
            fresh
        });
        let noise = Tensor::from_vec(generator.draw(len), (batch, channels, h, w), &Device::Cpu)?;
        Ok(noise.permute((0, 2, 3, 1))?.contiguous()?.to_device(sample.device())?)
    }
}
