//! Matrix products on cuBLASLt, with bias and residual added on the way out.
use super::Cuda;
use super::memory::{address, address_or_null};
use candle_core::{DType, Error, Result, Tensor, bail};
use cudarc::cublaslt::{result as lt, sys};
use std::ffi::c_void;

/// What decides the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    m: usize,
    n: usize,
    k: usize,
    half: u8,
    wide: bool,
    turned: bool,
    bias: bool,
    rest: bool,
    tf32: bool,
}

/// y (m × n) = x (m × k) · w + bias + rest, all row by row; w is (n × k) where `turned`, else (k × n).
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) dtype: DType,
    /// Whether y is f32 whatever the factors are.
    pub(super) wide: bool,
    pub(super) x: u64,
    pub(super) w: u64,
    /// Numbers from one row of w to the next.
    pub(super) w_row: usize,
    pub(super) turned: bool,
    pub(super) bias: u64,
    pub(super) rest: u64,
    pub(super) y: u64,
}

/// Descriptors, destroyed with the value.
struct Descriptors {
    product: sys::cublasLtMatmulDesc_t,
    w: sys::cublasLtMatrixLayout_t,
    x: sys::cublasLtMatrixLayout_t,
    y: sys::cublasLtMatrixLayout_t,
    wanted: sys::cublasLtMatmulPreference_t,
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: each was made and is used nowhere else; a failure to free leaks and is nothing to act on.
        unsafe {
            let _ = lt::destroy_matmul_desc(self.product);
            for layout in [self.w, self.x, self.y] {
                let _ = lt::destroy_matrix_layout(layout);
            }
            let _ = lt::destroy_matmul_pref(self.wanted);
        }
    }
}

fn set<T>(d: sys::cublasLtMatmulDesc_t, what: sys::cublasLtMatmulDescAttributes_t, value: &T) -> Result<()> {
    // SAFETY: the descriptor is alive and the attribute has the size of T.
    unsafe {
        lt::set_matmul_desc_attribute(d, what, std::ptr::from_ref(value).cast::<c_void>(), size_of::<T>())
    }
    .map_err(Error::wrap)
}

impl Cuda {
    /// x·wᵀ + bias + rest: `x` `[…, k]`, `w` `[n, k]`, `rest` of the result's shape `[…, n]`.
    pub(crate) fn linear(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        rest: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (n, k) = w.dims2()?;
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == k => *last = n,
            _ => bail!("linear: {:?} does not end in {k}", x.dims()),
        }
        if rest.is_some_and(|r| r.dims() != shape) || x.dtype() != w.dtype() {
            bail!(
                "linear: {:?} of {:?}, {:?} of {:?} and a residual do not fit",
                x.dims(),
                x.dtype(),
                w.dims(),
                w.dtype()
            );
        }
        let y = self.empty(shape, x.dtype())?;
        self.product(&Product {
            m: x.elem_count() / k,
            n,
            k,
            dtype: x.dtype(),
            wide: false,
            x: address(x)?,
            w: address(w)?,
            w_row: k,
            turned: true,
            bias: address_or_null(bias)?,
            rest: address_or_null(rest)?,
            y: address(&y)?,
        })?;
        Ok(y)
    }

    pub(super) fn product(&self, p: &Product) -> Result<()> {
        use sys::cublasLtMatmulDescAttributes_t as Attribute;
        let narrow = match p.dtype {
            DType::F16 => sys::cudaDataType::CUDA_R_16F,
            DType::BF16 => sys::cudaDataType::CUDA_R_16BF,
            DType::F32 => sys::cudaDataType::CUDA_R_32F,
            other => bail!("products take f16, bf16 or f32, not {other:?}"),
        };
        let out = if p.wide { sys::cudaDataType::CUDA_R_32F } else { narrow };
        let compute = if self.tf32 && p.dtype == DType::F32 {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32
        } else {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F
        };
        let (m, n, k) = (p.m as u64, p.n as u64, p.k as u64);
        // cuBLAS counts columns first: yᵀ = wᵀ·xᵀ, where every matrix seen so is the transpose of ours
        let (rows, columns) = if p.turned { (k, n) } else { (n, k) };
        let layout = |kind, rows, columns, lead| {
            lt::create_matrix_layout(kind, rows, columns, lead as i64).map_err(Error::wrap)
        };
        let d = Descriptors {
            product: lt::create_matmul_desc(compute, sys::cudaDataType::CUDA_R_32F).map_err(Error::wrap)?,
            w: layout(narrow, rows, columns, p.w_row)?,
            x: layout(narrow, k, m, p.k)?,
            y: layout(out, n, m, p.n)?,
            wanted: lt::create_matmul_pref().map_err(Error::wrap)?,
        };
        let transpose: i32 = p.turned.into();
        set(d.product, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &transpose)?;
        if p.bias != 0 {
            let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
            set(d.product, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
            set(d.product, Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias)?;
        }
        let algorithm = self.algorithm(p, &d)?;
        let (alpha, beta) = (1f32, if p.rest == 0 { 0f32 } else { 1f32 });
        let (workspace, _) = self.workspace(0)?;
        let c = if p.rest == 0 { p.y } else { p.rest };
        // SAFETY: the layouts describe the tensors that the addresses belong to.
        unsafe {
            lt::matmul(
                self.shared.lt,
                d.product,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                p.w as *const c_void,
                d.w,
                p.x as *const c_void,
                d.x,
                c as *const c_void,
                d.y,
                p.y as *mut c_void,
                d.y,
                &raw const algorithm,
                workspace as *mut c_void,
                Self::workspace_bytes(),
                self.shared.device.cuda_stream().cu_stream().cast(),
            )
        }
        .map_err(Error::wrap)
    }

    /// The heuristic's first choice, asked once per shape: it depends on nothing but shape, card and library.
    fn algorithm(&self, p: &Product, d: &Descriptors) -> Result<sys::cublasLtMatmulAlgo_t> {
        let key = Key {
            m: p.m,
            n: p.n,
            k: p.k,
            half: p.dtype.size_in_bytes() as u8 + u8::from(p.dtype == DType::BF16),
            wide: p.wide,
            turned: p.turned,
            bias: p.bias != 0,
            rest: p.rest != 0,
            tf32: self.tf32,
        };
        let mut known = self.shared.algorithms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = known.get(&key) {
            return Ok(*found);
        }
        let bytes = Self::workspace_bytes();
        // SAFETY: all descriptors are alive; the attribute is a size.
        let found = unsafe {
            lt::set_matmul_pref_attribute(
                d.wanted,
                sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                (&raw const bytes).cast(),
                size_of::<usize>(),
            )
            .map_err(Error::wrap)?;
            lt::get_matmul_algo_heuristic(self.shared.lt, d.product, d.w, d.x, d.y, d.y, d.wanted)
        };
        let found = found.map_err(|e| Error::Msg(format!("no algorithm for the product {key:?}: {e}")))?;
        known.insert(key, found.algo);
        Ok(found.algo)
    }
}
