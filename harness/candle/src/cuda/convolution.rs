//! Convolution on cuDNN: channels last, one named algorithm, sums in f32.
use super::Cuda;
use super::memory::{address, address_or_null};
use candle_core::{DType, Error, Result, Tensor, bail};
use cudarc::cudnn::{result as dnn, sys};
use std::ffi::c_void;

const ALGORITHM: sys::cudnnConvolutionFwdAlgo_t =
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
const NHWC: sys::cudnnTensorFormat_t = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;

/// Descriptors, destroyed with the value.
struct Descriptors {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
}

impl Descriptors {
    fn new() -> std::result::Result<Self, dnn::CudnnError> {
        Ok(Self {
            x: dnn::create_tensor_descriptor()?,
            w: dnn::create_filter_descriptor()?,
            y: dnn::create_tensor_descriptor()?,
            conv: dnn::create_convolution_descriptor()?,
        })
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: each was made and is used nowhere else; a failure to free leaks and is nothing to act on.
        unsafe {
            let _ = dnn::destroy_tensor_descriptor(self.x);
            let _ = dnn::destroy_filter_descriptor(self.w);
            let _ = dnn::destroy_tensor_descriptor(self.y);
            let _ = dnn::destroy_convolution_descriptor(self.conv);
        }
    }
}

impl Cuda {
    /// Convolution of `x` `[batch, h, w, inp]` with `w` `[out, window, window, inp]`, padded by half a window, plus
    /// `bias` `[out]` and `rest` of the result's shape, which need a bias.
    pub(crate) fn convolve(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        stride: usize,
        rest: Option<&Tensor>,
    ) -> Result<Tensor> {
        let ((images, height, width, inp), (out, window, _, depth)) = (x.dims4()?, w.dims4()?);
        if inp != depth || x.dtype() != w.dtype() {
            bail!("convolution: {:?} does not fit weights {:?}", x.dims(), w.dims());
        }
        let pad = window / 2;
        let size = |side: usize| (side + 2 * pad - window) / stride + 1;
        let shape = [images, size(height), size(width), out];
        if rest.is_some_and(|r| r.dims() != shape) {
            bail!("convolution: the residual does not have the result's shape {shape:?}");
        }
        let y = if window == 1 && stride == 1 && self.fits(inp, x.dtype()) && self.fits(out, x.dtype()) {
            return self.linear(x, &w.reshape((out, inp))?, bias, rest);
        } else {
            self.empty(shape.to_vec(), x.dtype())?
        };
        let int = |v: usize| v as i32;
        let d = Descriptors::new().map_err(Error::wrap)?;
        let (kind, math) = match x.dtype() {
            DType::F16 => (sys::cudnnDataType_t::CUDNN_DATA_HALF, sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH),
            DType::BF16 => {
                (sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16, sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH)
            }
            DType::F32 if self.tf32 => {
                (sys::cudnnDataType_t::CUDNN_DATA_FLOAT, sys::cudnnMathType_t::CUDNN_DEFAULT_MATH)
            }
            DType::F32 => (sys::cudnnDataType_t::CUDNN_DATA_FLOAT, sys::cudnnMathType_t::CUDNN_FMA_MATH),
            other => bail!("convolutions take f16, bf16 or f32, not {other:?}"),
        };
        let (pad, step) = (int(pad), int(stride));
        let (alpha, beta) = (1f32, 0f32);
        // SAFETY: the descriptors are alive and describe the tensors that the addresses belong to.
        unsafe {
            dnn::set_tensor4d_descriptor(d.x, NHWC, kind, [int(images), int(inp), int(height), int(width)])
                .and_then(|()| {
                    dnn::set_filter4d_descriptor(
                        d.w,
                        kind,
                        NHWC,
                        [int(out), int(inp), int(window), int(window)],
                    )
                })
                .and_then(|()| {
                    let dims = [int(images), int(out), int(shape[1]), int(shape[2])];
                    dnn::set_tensor4d_descriptor(d.y, NHWC, kind, dims)
                })
                .and_then(|()| {
                    dnn::set_convolution2d_descriptor(
                        d.conv,
                        pad,
                        pad,
                        step,
                        step,
                        1,
                        1,
                        sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                        sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
                    )
                })
                .and_then(|()| dnn::set_convolution_math_type(d.conv, math))
                .map_err(Error::wrap)?;
            let handle = self.shared.dnn;
            let bytes = dnn::get_convolution_forward_workspace_size(handle, d.x, d.w, d.conv, d.y, ALGORITHM)
                .map_err(Error::wrap)?;
            let (workspace, _more) = self.workspace(bytes)?;
            dnn::convolution_forward(
                handle,
                (&raw const alpha).cast(),
                d.x,
                address(x)? as *const c_void,
                d.w,
                address(w)? as *const c_void,
                d.conv,
                ALGORITHM,
                workspace as *mut c_void,
                bytes,
                (&raw const beta).cast(),
                d.y,
                address(&y)? as *mut c_void,
            )
            .map_err(Error::wrap)?;
        }
        match bias {
            Some(bias) => self.finish(&y, bias, address_or_null(rest)?)?,
            None if rest.is_some() => bail!("convolution: a residual without a bias"),
            None => {}
        }
        Ok(y)
    }
}
