//! Normalisations: `kernels/norm.cu`.
use super::Cuda;
use super::device::{IMAGES, PARTIAL};
use super::kernels::{Arg, Module};
use super::memory::{address, address_or_null, suffix};
use candle_core::{Result, Tensor, bail};
use cudarc::driver::DevicePtr as _;

/// Threads of a block that sums or applies.
const THREADS: usize = 256;
/// Blocks that fill a card.
const BLOCKS: usize = 396;
/// Shared memory a block may have without asking.
const SHARED: usize = 48 << 10;

impl Cuda {
    /// Group norm of `x` `[batch, h, w, c]` plus `shift` `[batch, c]`, followed by x·σ(x) if `silu`.
    pub(crate) fn group_norm(
        &self,
        x: &Tensor,
        shift: Option<&Tensor>,
        (weight, bias): (&Tensor, &Tensor),
        groups: usize,
        eps: f64,
        silu: bool,
    ) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let per = 16 / x.dtype().size_in_bytes();
        if !self.fits(c, x.dtype()) || n > IMAGES || shift.is_some_and(|s| s.dims() != [n, c]) {
            bail!("group norm: {:?} does not fit", x.dims());
        }
        let (pixels, vectors) = (h * w, c / per);
        if vectors > 1024 || 8 * c > SHARED {
            bail!("group norm: {c} channels do not fit");
        }
        // as many rows as shared memory has room for, two f32 a channel
        let most = SHARED / (8 * c);
        let rows = (THREADS / vectors).clamp(1, most);
        let threads = (rows * vectors).next_multiple_of(32);
        let rows = threads / vectors;
        if rows > most {
            bail!("group norm: {c} channels do not fit");
        }
        let runs = pixels.div_ceil(rows * 8).clamp(1, BLOCKS.div_ceil(n));
        let stats = self.empty((n, groups, 2), candle_core::DType::F32)?;
        if n * runs * groups * 2 > PARTIAL {
            bail!("group norm: {groups} groups of {n} images do not fit");
        }
        let stream = self.shared.device.cuda_stream();
        let int = |v: usize| Arg::Int(v as i32);
        let shift = Arg::Address(address_or_null(shift)?);
        let (x_at, stats_at) = (Arg::Address(address(x)?), Arg::Address(address(&stats)?));
        let name = suffix(x.dtype())?;
        let args = [
            x_at,
            shift,
            Arg::Address(self.shared.partial.device_ptr(&stream).0),
            Arg::Address(self.shared.done.device_ptr(&stream).0),
            stats_at,
            int(pixels),
            int(c),
            int(groups),
            Arg::Float(eps as f32),
        ];
        let grid = (runs as u32, n as u32, 1);
        let kernel = format!("group_stats_{name}");
        self.launch(Module::Norm, &kernel, grid, threads as u32, rows * c * 8, &args)?;
        let y = self.empty(x.dims().to_vec(), x.dtype())?;
        let args = [
            x_at,
            shift,
            stats_at,
            Arg::Address(address(weight)?),
            Arg::Address(address(bias)?),
            Arg::Address(address(&y)?),
            int(pixels),
            int(c),
            int(groups),
            Arg::Int(silu.into()),
        ];
        let grid = (pixels.div_ceil(rows * 4).min((2 * BLOCKS).div_ceil(n)) as u32, n as u32, 1);
        self.launch(Module::Norm, &format!("group_apply_{name}"), grid, threads as u32, 0, &args)?;
        Ok(y)
    }

    /// Layer norm of `x` `[…, c]`.
    pub(crate) fn layer_norm(
        &self,
        x: &Tensor,
        (weight, bias): (&Tensor, &Tensor),
        eps: f64,
    ) -> Result<Tensor> {
        let c = weight.elem_count();
        let vectors = c * x.dtype().size_in_bytes() / 16;
        if x.dims().last() != Some(&c) || !self.fits(c, x.dtype()) || vectors > 12 * 32 {
            bail!("layer norm: {:?} does not fit", x.dims());
        }
        let rows = x.elem_count() / c;
        let y = self.empty(x.dims().to_vec(), x.dtype())?;
        let per_lane = match vectors.div_ceil(32) {
            0..=3 => 3,
            4..=5 => 5,
            _ => 12,
        };
        let args = [
            Arg::Address(address(x)?),
            Arg::Address(address(weight)?),
            Arg::Address(address(bias)?),
            Arg::Address(address(&y)?),
            Arg::Int(rows as i32),
            Arg::Int(c as i32),
            Arg::Float(eps as f32),
        ];
        let name = format!("layer_norm_{per_lane}_{}", suffix(x.dtype())?);
        self.launch(Module::Norm, &name, (rows.div_ceil(4) as u32, 1, 1), 128, 0, &args)?;
        Ok(y)
    }
}
