//! Fused operations for the CPU: products that finish on the way out, convolution without copies of its windows,
//! normalisation with its activation, attention without the whole score matrix. Slices in, slices out; channels last.
//!
//! The bits of a result depend neither on the number of threads nor on the width of the machine's registers.
mod attention;
mod gemm;
mod kernel;
mod lane;
mod math;
mod norm;
mod op;
mod pack;
mod rows;
mod simd;

pub(crate) use kernel::Finish;
pub(crate) use op::{Attend, Convolve, GroupNormOp, LayerNormOp, Product};
pub(crate) use pack::{Packed, Source};
