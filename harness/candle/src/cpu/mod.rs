//! Fused operations for the CPU: products that finish on the way out, convolution without copies of its windows,
//! normalisation with its activation, attention without the whole score matrix. Slices in, slices out; channels last.
//! For language models: matrices that stay quantised, and passes that a team of threads makes together.
//!
//! The bits of a result depend neither on the number of threads nor on the width of the machine's registers.
mod attention;
mod format;
mod gemm;
mod math;
mod matrix;
mod norm;
mod op;
mod pack;
mod register;
mod rows;
mod share;
mod simd;
mod team;
mod tile;

pub(crate) use attention::softmax;
pub(crate) use format::Group;
pub(crate) use gemm::Finish;
pub(crate) use matrix::{Kind, Matrix, multiply_lines};
pub(crate) use norm::{group_sums, rms_norm, rotate, swiglu};
pub(crate) use op::{Attend, Convolve, GroupNormOp, LayerNormOp, Product};
pub(crate) use pack::{COLUMNS, Line, Packed, Source};
pub(crate) use simd::Isa;
pub(crate) use team::{Member, Shared, Team};
pub(crate) use tile::{Left, Room};
