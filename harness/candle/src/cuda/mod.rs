//! NVIDIA GPUs: the layers' fused operations, on cuBLASLt, cuDNN and kernels of our own. Channels last, one stream, no
//! atomics on data: the same card, driver and libraries give the same bits in every process.
//!
//! Without the feature `cuda` the types are there and have no values, so that the layers need not know.
#[cfg(feature = "cuda")]
mod attention;
#[cfg(feature = "cuda")]
mod convolution;
#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod kernels;
#[cfg(feature = "cuda")]
mod memory;
#[cfg(feature = "cuda")]
mod norm;
#[cfg(feature = "cuda")]
mod product;
#[cfg(feature = "cuda")]
mod replay;
#[cfg(feature = "cuda")]
mod text;
#[cfg(not(feature = "cuda"))]
mod without;

#[cfg(feature = "cuda")]
pub(crate) use self::{
    device::Cuda,
    replay::Replay,
    text::{Form, Heads, Memory, Norm, Places, Recording, Rows, Steps},
};
#[cfg(not(feature = "cuda"))]
pub(crate) use without::{Cuda, Replay};

use candle_core::Tensor;

/// Queries, keys or values: the columns from `start` of a contiguous `[batch, tokens, row]` tensor.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(crate) struct Columns<'a> {
    pub(crate) of: &'a Tensor,
    pub(crate) start: usize,
}

impl<'a> Columns<'a> {
    /// All columns.
    pub(crate) fn all(of: &'a Tensor) -> Self {
        Self { of, start: 0 }
    }
}
