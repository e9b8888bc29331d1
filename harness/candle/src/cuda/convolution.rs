//! Convolution on cuDNN: channels last, one named algorithm, sums in f32.
use super::Cuda;
use super::memory::{address, address_or_null};
use candle_core::{DType, Error, Result, Tensor, bail};
use cudarc::cudnn::{result as dnn, sys};
use std::ffi::c_void;

const ALGORITHM: sys::cudnnConvolutionFwdAlgo_t =
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
/// A band has no fewer rows, whatever it takes.
const LEAST_ROWS: usize = 16;
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

    /// Bytes that the convolution works in.
    fn workspace(&self, cuda: &Cuda) -> Result<usize> {
        // SAFETY: all are alive and set.
        unsafe {
            let handle = cuda.shared.dnn;
            dnn::get_convolution_forward_workspace_size(handle, self.x, self.w, self.conv, self.y, ALGORITHM)
        }
        .map_err(Error::wrap)
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

/// What decides a convolution's descriptors beside the rows of its input.
struct Convolution {
    images: usize,
    inp: usize,
    out: usize,
    window: usize,
    width: usize,
    stride: usize,
    dtype: DType,
    tf32: bool,
}

impl Convolution {
    /// Descriptors for `rows` rows, with `pad` rows of zeros above and below and half a window of them beside.
    fn describe(&self, rows: usize, pad: usize) -> Result<Descriptors> {
        let int = |v: usize| v as i32;
        let half = self.window / 2;
        let size = |side: usize, pad: usize| (side + 2 * pad - self.window) / self.stride + 1;
        let (kind, math) = match self.dtype {
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
        let d = Descriptors::new().map_err(Error::wrap)?;
        let dims = |channels: usize, height: usize, width: usize| {
            [int(self.images), int(channels), int(height), int(width)]
        };
        let x = dims(self.inp, rows, self.width);
        let w = [int(self.out), int(self.inp), int(self.window), int(self.window)];
        let y = dims(self.out, size(rows, pad), size(self.width, half));
        let step = int(self.stride);
        let crossed = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let sums = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        // SAFETY: the descriptors are alive.
        unsafe {
            dnn::set_tensor4d_descriptor(d.x, NHWC, kind, x)
                .and_then(|()| dnn::set_filter4d_descriptor(d.w, kind, NHWC, w))
                .and_then(|()| dnn::set_tensor4d_descriptor(d.y, NHWC, kind, y))
                .and_then(|()| {
                    let (pad, half) = (int(pad), int(half));
                    dnn::set_convolution2d_descriptor(d.conv, pad, half, step, step, 1, 1, crossed, sums)
                })
                .and_then(|()| dnn::set_convolution_math_type(d.conv, math))
                .map_err(Error::wrap)?;
        }
        Ok(d)
    }
}

/// Rows of the input from `from`, convolved with `pad` rows of zeros above and below.
#[derive(Debug, PartialEq, Eq)]
struct Band {
    from: usize,
    rows: usize,
    pad: usize,
}

/// Bands of `rows` rows of the result at most (and a third of `height`) that together make a convolution with a window
/// of three, in this order: the first and the last have zeros on both sides, so each gets one row wrong, on its inner
/// side, which those between write again.
fn bands(height: usize, rows: usize) -> Vec<Band> {
    let mut bands = vec![
        Band { from: 0, rows: rows + 1, pad: 1 },
        Band { from: height - rows - 1, rows: rows + 1, pad: 1 },
    ];
    let inner = rows..height - rows;
    bands.extend(inner.clone().step_by(rows).map(|row| {
        let rows = rows.min(inner.end - row);
        Band { from: row - 1, rows: rows + 2, pad: 0 }
    }));
    bands
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
        let c = Convolution { images, inp, out, window, width, stride, dtype: x.dtype(), tf32: self.tf32 };
        let (x_at, w_at, y_at) = (address(x)?, address(w)?, address(&y)?);
        let whole = c.describe(height, pad)?;
        let fits = |bytes| bytes <= Self::workspace_bytes();
        let bytes = whole.workspace(self)?;
        if images > 1 || window != 3 || stride != 1 || fits(bytes) {
            self.launch_convolution(&whole, bytes, x_at, w_at, y_at)?;
        } else {
            // for f32 the workspace is as large as both pictures together
            let mut rows = height / 3;
            while rows > LEAST_ROWS && !fits(c.describe(rows + 2, 0)?.workspace(self)?) {
                rows /= 2;
            }
            let size = x.dtype().size_in_bytes();
            for Band { from, rows, pad } in bands(height, rows) {
                let d = c.describe(rows, pad)?;
                let (x_row, y_row) = (width * inp * size, shape[2] * out * size);
                let (x_at, y_at) = (x_at + (from * x_row) as u64, y_at + ((from + 1 - pad) * y_row) as u64);
                self.launch_convolution(&d, d.workspace(self)?, x_at, w_at, y_at)?;
            }
        }
        match bias {
            Some(bias) => self.finish(&y, bias, address_or_null(rest)?)?,
            None if rest.is_some() => bail!("convolution: a residual without a bias"),
            None => {}
        }
        Ok(y)
    }

    /// Runs what `d` describes on the tensors at these addresses, with so many bytes to work in.
    fn launch_convolution(&self, d: &Descriptors, bytes: usize, x: u64, w: u64, y: u64) -> Result<()> {
        let (alpha, beta) = (1f32, 0f32);
        let (workspace, _more) = self.workspace(bytes)?;
        // SAFETY: the descriptors are alive and describe the tensors that the addresses belong to.
        unsafe {
            dnn::convolution_forward(
                self.shared.dnn,
                (&raw const alpha).cast(),
                d.x,
                x as *const c_void,
                d.w,
                w as *const c_void,
                d.conv,
                ALGORITHM,
                workspace as *mut c_void,
                bytes,
                (&raw const beta).cast(),
                d.y,
                y as *mut c_void,
            )
        }
        .map_err(Error::wrap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each row of the result is made from, as the bands leave it, and as a whole convolution does.
    #[test]
    fn bands_make_every_row_from_all_of_its_rows() {
        for (height, rows) in [(3, 1), (64, 21), (64, 10), (64, 8), (65, 8), (1024, 16)] {
            let mut made = vec![None; height];
            for Band { from, rows: count, pad } in bands(height, rows) {
                assert!(from + count <= height && count <= rows + 2, "{height} {rows}");
                let read = |r: usize| (from..from + count).contains(&r).then_some(r);
                let written = made.iter_mut().enumerate().take(from + count - 1 + pad).skip(from + 1 - pad);
                for (row, made) in written {
                    *made = Some([row.checked_sub(1).and_then(read), read(row), read(row + 1)]);
                }
            }
            for (row, made) in made.into_iter().enumerate() {
                let below = Some(row + 1).filter(|&r| r < height);
                assert_eq!(made, Some([row.checked_sub(1), Some(row), below]), "{height} {rows}");
            }
        }
    }
}
