//! What a solver does with a model's answers.

use candle_core::Tensor;

use super::noise::Noise;
use crate::error::Result;

/// The course of one picture: which time the model is asked about, how its input is scaled, how its answer is used.
pub(super) trait Solver {
    /// Times to ask the model about, one per call.
    fn times(&self) -> &[f32];

    /// Factor of the initial noise.
    fn initial_scale(&self) -> f32 {
        1.0
    }

    /// The model's input at call `i`.
    fn scale_input(&self, sample: &Tensor, _i: usize) -> Result<Tensor> {
        Ok(sample.clone())
    }

    /// The sample after call `i`, from the one before it and the model's output; both f32, `[batch, h, w, channels]`.
    fn step(&mut self, output: &Tensor, i: usize, sample: &Tensor, noise: &mut Noise) -> Result<Tensor>;
}
