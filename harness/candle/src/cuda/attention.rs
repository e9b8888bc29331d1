//! Attention: without the score matrix for heads that fit in registers (`kernels/flash.cu`), in slices of it for one wide
//! head.
use super::kernels::{Arg, Module};
use super::memory::{address, suffix};
use super::product::Product;
use super::{Columns, Cuda};
use candle_core::{DType, Result, Tensor, bail};

/// Most scores of a wide head held at a time (f32: 256 MiB).
const SCORES: usize = 1 << 26;

/// A compiled kernel: rows of queries, keys a stage, bytes of a row in shared memory.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) rows: usize,
    keys: usize,
    row_bytes: usize,
}

impl Shape {
    /// Bytes of shared memory: the queries, then two stages of keys and of values.
    pub(super) fn shared(&self) -> usize {
        (4 * self.keys).max(self.rows) * self.row_bytes
    }
}

/// The kernel for heads of a width. Many queries per block pay where there are queries enough for all multiprocessors.
pub(super) fn shape(width: usize, queries: usize, keys: usize) -> Option<Shape> {
    Some(match width {
        32 => Shape { name: "flash_32", rows: 64, keys: 64, row_bytes: 80 },
        40 => Shape { name: "flash_40", rows: 64, keys: 64, row_bytes: 112 },
        64 if queries >= 2048 && keys >= 512 => {
            Shape { name: "flash_64_long", rows: 128, keys: 64, row_bytes: 128 }
        }
        64 => Shape { name: "flash_64", rows: 64, keys: 64, row_bytes: 128 },
        80 => Shape { name: "flash_80", rows: 64, keys: 64, row_bytes: 176 },
        128 => Shape { name: "flash_128", rows: 64, keys: 32, row_bytes: 256 },
        _ => return None,
    })
}

impl Cuda {
    /// Whether heads of that width can be attended to here.
    pub(crate) fn attends(&self, heads: usize, width: usize, dtype: DType) -> bool {
        match dtype {
            DType::F16 | DType::BF16 if shape(width, 1, 1).is_some() => true,
            DType::F16 | DType::BF16 | DType::F32 => heads == 1 && width >= 256 && self.fits(width, dtype),
            _ => false,
        }
    }

    /// softmax(q·kᵀ/√width)·v for `(heads, width)`; see [`crate::nn::Heads::attend`].
    pub(crate) fn attend(
        &self,
        q: Columns,
        k: Columns,
        v: Columns,
        (heads, width): (usize, usize),
        causal: bool,
    ) -> Result<Tensor> {
        let ((batch, queries, _), (other, keys, _)) = (q.of.dims3()?, k.of.dims3()?);
        let fits = |c: &Columns| {
            c.of.dims().len() == 3
                && c.start + heads * width <= c.of.dims()[2]
                && (c.of.dims()[2] % 8, c.start % 8) == (0, 0)
        };
        if batch != other || v.of.dims()[..2] != k.of.dims()[..2] || ![&q, &k, &v].into_iter().all(fits) {
            bail!("attention: {:?}, {:?} and {:?} do not fit", q.of.dims(), k.of.dims(), v.of.dims());
        }
        let y = self.empty((batch, queries, heads * width), q.of.dtype())?;
        let scale = 1.0 / (width as f64).sqrt();
        let Some(s) = shape(width, queries, keys).filter(|_| q.of.dtype() != DType::F32) else {
            if heads != 1 || causal {
                bail!("attention: no kernel for {heads} heads of {width}");
            }
            self.attend_wide(q, k, v, width, scale, &y)?;
            return Ok(y);
        };
        let int = |v: usize| Arg::Int(v as i32);
        let row = |c: &Columns| int(c.of.dims()[2]);
        let args = [
            Arg::Address(at(&q)?),
            Arg::Address(at(&k)?),
            Arg::Address(at(&v)?),
            Arg::Address(address(&y)?),
            int(queries),
            int(keys),
            int(heads),
            Arg::Int(causal.into()),
            Arg::Float((scale * std::f64::consts::LOG2_E) as f32),
            row(&q),
            row(&k),
            row(&v),
            int(heads * width),
            int(1),
        ];
        let grid = (queries.div_ceil(s.rows) as u32, heads as u32, batch as u32);
        let threads = 128;
        let name = format!("{}_{}", s.name, suffix(q.of.dtype())?);
        self.launch(Module::Flash, &name, grid, threads, s.shared(), &args)?;
        Ok(y)
    }

    /// One head too wide for registers: scores in f32, some queries at a time.
    fn attend_wide(
        &self,
        q: Columns,
        k: Columns,
        v: Columns,
        width: usize,
        scale: f64,
        y: &Tensor,
    ) -> Result<()> {
        let ((batch, queries, _), keys) = (q.of.dims3()?, k.of.dim(1)?);
        if q.of.dim(2)? != width {
            bail!("attention: queries of a wide head must lie alone");
        }
        let dtype = q.of.dtype();
        let bytes = dtype.size_in_bytes();
        let rows = (SCORES / keys).clamp(1, queries);
        let scores = self.empty((rows, keys), DType::F32)?;
        let shares = self.empty((rows, keys), dtype)?;
        let (k_row, v_row) = (k.of.dim(2)?, v.of.dim(2)?);
        for image in 0..batch {
            for from in (0..queries).step_by(rows) {
                let m = rows.min(queries - from);
                let offset = ((image * queries + from) * width * bytes) as u64;
                let whole = Product {
                    m,
                    n: keys,
                    k: width,
                    dtype,
                    wide: true,
                    x: at(&q)? + offset,
                    w: at(&k)? + (image * keys * k_row * bytes) as u64,
                    w_row: k_row,
                    turned: true,
                    bias: 0,
                    rest: 0,
                    y: address(&scores)?,
                };
                self.product(&whole)?;
                let args = [
                    Arg::Address(address(&scores)?),
                    Arg::Address(address(&shares)?),
                    Arg::Int(keys as i32),
                    Arg::Float(scale as f32),
                ];
                let name = format!("soften_{}", suffix(dtype)?);
                self.launch(Module::Glue, &name, (m as u32, 1, 1), 512, 0, &args)?;
                self.product(&Product {
                    n: width,
                    k: keys,
                    wide: false,
                    x: address(&shares)?,
                    w: at(&v)? + (image * keys * v_row * bytes) as u64,
                    w_row: v_row,
                    turned: false,
                    y: address(y)? + offset,
                    ..whole
                })?;
            }
        }
        Ok(())
    }
}

fn at(c: &Columns) -> Result<u64> {
    Ok(address(c.of)? + (c.start * c.of.dtype().size_in_bytes()) as u64)
}
