//! The same models on an NVIDIA GPU: a prompt in one pass through tensor cores, then a token at a time by launches that are
//! recorded once. Weights in f16 or bf16, or in eight or four bits that are widened in registers; the residual stream is f32,
//! keys, values and the factors of a prompt's products have the model's type.
//!
//! Without the feature `cuda` the type is there and has no values.
#[cfg(feature = "cuda")]
mod model;
#[cfg(feature = "cuda")]
mod weights;
#[cfg(not(feature = "cuda"))]
mod without;

#[cfg(feature = "cuda")]
pub use model::GpuLlama;
#[cfg(not(feature = "cuda"))]
pub use without::GpuLlama;
