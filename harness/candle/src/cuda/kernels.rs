//! Launches of our own kernels: `kernels/*.cu`, compiled to the PTX beside them by `scripts/build-kernels.sh`.
use super::Cuda;
use super::memory::{address, suffix};
use crate::nn::Activation;
use candle_core::{Error, Result, Tensor, bail};
use cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg as _, sys};

/// Source of a kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Module {
    Flash,
    Glue,
    Norm,
    Text,
}

impl Module {
    fn ptx(self) -> (&'static str, &'static str) {
        match self {
            Self::Flash => ("edgemaxx-flash", include_str!("kernels/flash.ptx")),
            Self::Glue => ("edgemaxx-glue", include_str!("kernels/glue.ptx")),
            Self::Norm => ("edgemaxx-norm", include_str!("kernels/norm.ptx")),
            Self::Text => ("edgemaxx-text", include_str!("kernels/text.ptx")),
        }
    }
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg {
    Address(u64),
    Int(i32),
    Long(i64),
    Float(f32),
}

/// Bytes of shared memory that a block may have without asking for them.
const USUAL_SHARED: usize = 48 << 10;
/// Threads of kernels that treat every vector alike.
const THREADS: u32 = 256;

impl Cuda {
    /// Launches a kernel; addresses must belong to tensors of the sizes it is told.
    pub(super) fn launch(
        &self,
        module: Module,
        name: &str,
        grid: (u32, u32, u32),
        threads: u32,
        shared: usize,
        args: &[Arg],
    ) -> Result<()> {
        let (id, ptx) = module.ptx();
        let function = self.shared.device.get_or_load_custom_func(name, id, ptx)?;
        if shared > USUAL_SHARED {
            let most = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.set_attribute(most, shared as i32).map_err(Error::wrap)?;
        }
        let mut launch = function.builder();
        for arg in args {
            match arg {
                Arg::Address(v) => push(&mut launch, v),
                Arg::Int(v) => push(&mut launch, v),
                Arg::Long(v) => push(&mut launch, v),
                Arg::Float(v) => push(&mut launch, v),
            }
        }
        let config =
            LaunchConfig { grid_dim: grid, block_dim: (threads, 1, 1), shared_mem_bytes: shared as u32 };
        // SAFETY: the arguments are those of the kernel; callers give addresses of tensors of the sizes they name.
        unsafe { launch.launch(config) }.map_err(Error::wrap)?;
        Ok(())
    }

    /// Launches one thread per 16-byte vector of `numbers` numbers of the type of `like`.
    fn each(&self, name: &str, like: &Tensor, numbers: usize, args: &[Arg]) -> Result<()> {
        let per = 16 / like.dtype().size_in_bytes();
        if !numbers.is_multiple_of(per) {
            bail!("{name}: {numbers} numbers are no multiple of {per}");
        }
        let blocks = u32::try_from((numbers / per).div_ceil(THREADS as usize)).map_err(Error::wrap)?;
        let name = format!("{name}_{}", suffix(like.dtype())?);
        self.launch(Module::Glue, &name, (blocks, 1, 1), THREADS, 0, args)
    }

    fn vectors(like: &Tensor, numbers: usize) -> Arg {
        Arg::Long((numbers * like.dtype().size_in_bytes() / 16) as i64)
    }

    /// The activation of every number, in place.
    pub(crate) fn activate(&self, x: Tensor, act: Activation) -> Result<Tensor> {
        let kind = match act {
            Activation::Gelu => 0,
            Activation::QuickGelu => 1,
        };
        let n = x.elem_count();
        let args = [Arg::Address(address(&x)?), Self::vectors(&x, n), Arg::Int(kind)];
        self.each("activate", &x, n, &args)?;
        Ok(x)
    }

    /// Of `[…, 2·c]` the first half times the GELU of the second, `[…, c]`.
    pub(crate) fn geglu(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let Some(last) = shape.last_mut().filter(|last| last.is_multiple_of(2)) else {
            bail!("geglu: {:?} cannot be halved", x.dims())
        };
        *last /= 2;
        let c = *last;
        let y = self.empty(shape, x.dtype())?;
        let n = y.elem_count();
        let args =
            [Arg::Address(address(x)?), Arg::Address(address(&y)?), Self::vectors(x, n), Arg::Int(c as i32)];
        self.each("geglu", x, n, &args)?;
        Ok(y)
    }

    /// Channels of two images `[batch, h, w, _]` side by side.
    pub(crate) fn beside(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let ((n, h, w, c), (bn, bh, bw, d)) = (a.dims4()?, b.dims4()?);
        if (n, h, w) != (bn, bh, bw)
            || a.dtype() != b.dtype()
            || !self.fits(c, a.dtype())
            || !self.fits(d, a.dtype())
        {
            bail!("beside: {:?} and {:?} do not fit", a.dims(), b.dims());
        }
        let y = self.empty((n, h, w, c + d), a.dtype())?;
        let count = y.elem_count();
        let args = [
            Arg::Address(address(a)?),
            Arg::Address(address(b)?),
            Arg::Address(address(&y)?),
            Self::vectors(a, count),
            Arg::Int(c as i32),
            Arg::Int(d as i32),
        ];
        self.each("beside", a, count, &args)?;
        Ok(y)
    }

    /// `[batch, h, w, c]` enlarged by repeating pixels.
    pub(crate) fn enlarge(&self, x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        if !self.fits(c, x.dtype()) {
            bail!("enlarge: {c} channels do not fit");
        }
        let y = self.empty((n, height, width, c), x.dtype())?;
        let count = y.elem_count();
        let int = |v: usize| Arg::Int(v as i32);
        let args = [
            Arg::Address(address(x)?),
            Arg::Address(address(&y)?),
            Self::vectors(x, count),
            int(h),
            int(w),
            int(height),
            int(width),
            int(c),
        ];
        self.each("enlarge", x, count, &args)?;
        Ok(y)
    }

    /// Adds `bias` `[c]` to every row of `y` `[…, c]`, and `rest` (an address of as many numbers, or 0), in place.
    pub(super) fn finish(&self, y: &Tensor, bias: &Tensor, rest: u64) -> Result<()> {
        let n = y.elem_count();
        let c = bias.elem_count();
        let args = [
            Arg::Address(address(y)?),
            Arg::Address(address(bias)?),
            Arg::Address(rest),
            Self::vectors(y, n),
            Arg::Int(c as i32),
            Arg::Long(0),
        ];
        self.each("finish", y, n, &args)
    }
}

fn push<'a, T: DeviceRepr>(launch: &mut cudarc::driver::LaunchArgs<'a>, value: &'a T) {
    launch.arg(value);
}
