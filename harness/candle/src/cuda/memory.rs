//! Tensors as addresses, and addresses as tensors.
use super::Cuda;
use candle_core::backend::BackendDevice as _;
use candle_core::cuda_backend::CudaStorageSlice as Slice;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Result, Shape, Storage, Tensor, bail};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _};
use std::sync::Arc;

/// Address of a contiguous tensor's first number. Valid while the tensor lives, which for work on the one stream means
/// until it is dropped: memory is freed in the stream's order.
pub(super) fn address(t: &Tensor) -> Result<u64> {
    let (storage, layout) = t.storage_and_layout();
    if !layout.is_contiguous() {
        bail!(
            "fused operations take contiguous tensors, not {:?} with strides {:?}",
            t.dims(),
            layout.stride()
        );
    }
    let Storage::Cuda(storage) = &*storage else { bail!("expected a tensor on the GPU") };
    let base = base(storage)?;
    Ok(base + (layout.start_offset() * t.dtype().size_in_bytes()) as u64)
}

/// As [`address`], 0 for none.
pub(super) fn address_or_null(t: Option<&Tensor>) -> Result<u64> {
    t.map_or(Ok(0), address)
}

fn base(storage: &CudaStorage) -> Result<u64> {
    fn at<T>(s: &CudaSlice<T>, stream: &Arc<CudaStream>) -> u64 {
        s.device_ptr(stream).0
    }
    let stream = storage.device.cuda_stream();
    Ok(match &storage.slice {
        Slice::F16(s) => at(s, &stream),
        Slice::BF16(s) => at(s, &stream),
        Slice::F32(s) => at(s, &stream),
        _ => bail!("fused operations take f16, bf16 or f32"),
    })
}

/// Name of the type in the kernels' names.
pub(super) fn suffix(dtype: DType) -> Result<&'static str> {
    Ok(match dtype {
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        DType::F32 => "f32",
        other => bail!("fused operations take f16, bf16 or f32, not {other:?}"),
    })
}

impl Cuda {
    /// A tensor whose numbers the caller writes next.
    pub(super) fn empty(&self, shape: impl Into<Shape>, dtype: DType) -> Result<Tensor> {
        let shape = shape.into();
        // SAFETY: the operation that asks for it writes every number.
        let storage = unsafe { self.shared.device.alloc_uninit(&shape, dtype)? };
        Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
    }
}
