//! The device that an engine is asked to compute on, opened or refused with the cure.
use crate::error::{Error, Result};
use candle_core::{DType, Device};

/// Kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accelerator {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU that the process may see (`CUDA_VISIBLE_DEVICES`).
    Cuda,
}

impl std::str::FromStr for Accelerator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err("expected cpu or cuda".to_owned()),
        }
    }
}

impl Accelerator {
    /// Its name, as it is parsed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`]: this build has no GPU code, or no GPU is there that it can use.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => open_gpu(),
        }
    }
}

/// What decides the bits and the speed of computing on `device` in `dtype`, beside weights and requests, as sorted names
/// and values; runs compare where they are equal. Empty for the CPU, where only the version of this crate does.
pub fn settings(device: &Device, dtype: DType) -> Result<Vec<(&'static str, String)>> {
    let mut settings = crate::cuda::Cuda::of(device)?.map(|cuda| cuda.settings(dtype)).unwrap_or_default();
    settings.sort();
    Ok(settings)
}

#[cfg(not(feature = "cuda"))]
fn open_gpu() -> Result<Device> {
    Err(Error::Device(
        "this build has no GPU code; build it with scripts/build-cuda.sh, or ask for the CPU".to_owned(),
    ))
}

/// Driver that CUDA 13's libraries need.
#[cfg(feature = "cuda")]
const DRIVER: i32 = 13000;

#[cfg(feature = "cuda")]
fn open_gpu() -> Result<Device> {
    use cudarc::driver::{CudaContext, result, sys};
    let unfit = |why: String| Error::Device(why);
    result::init().map_err(|e| {
        let cure = match e.0 {
            sys::CUresult::CUDA_ERROR_NO_DEVICE => {
                "the driver sees no GPU: is one installed, and does CUDA_VISIBLE_DEVICES name it?"
            }
            sys::CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
                "driver and kernel module are of different versions: reboot, or load the module anew"
            }
            _ => "is NVIDIA's driver (580 or newer) installed and its kernel module loaded? `nvidia-smi` says more",
        };
        unfit(format!("CUDA does not start ({e}): {cure}"))
    })?;
    let mut driver = 0;
    // SAFETY: writes one number.
    if unsafe { sys::cuDriverGetVersion(&raw mut driver) } != sys::CUresult::CUDA_SUCCESS || driver < DRIVER {
        return Err(unfit(format!(
            "the driver speaks CUDA {}.{}, this program needs {}: install NVIDIA's driver 580 or newer",
            driver / 1000,
            driver % 1000 / 10,
            DRIVER / 1000
        )));
    }
    if CudaContext::device_count().unwrap_or(0) == 0 {
        return Err(unfit(
            "no GPU is visible: unset CUDA_VISIBLE_DEVICES, or name one that is there".to_owned(),
        ));
    }
    let busy = |e: String| {
        unfit(format!(
            "the GPU cannot be opened ({e}): is another program using it up, or is its compute mode exclusive?"
        ))
    };
    let device = Device::new_cuda_with_stream(0).map_err(|e| busy(e.to_string()))?;
    let context = device.as_cuda_device()?.cuda_stream().context().clone();
    let (major, minor) = context.compute_capability().map_err(|e| busy(e.to_string()))?;
    if major < 8 {
        let name = context.name().unwrap_or_default();
        return Err(unfit(format!(
            "{name} has compute capability {major}.{minor}; the kernels need 8.0 or more (Ampere, 2020, or newer)"
        )));
    }
    Ok(device)
}

/// Makes an error of a full card say so.
pub(crate) fn explain(error: Error) -> Error {
    match error {
        Error::Candle(e) if ["OUT_OF_MEMORY", "ALLOC_FAILED"].iter().any(|w| e.to_string().contains(w)) => {
            Error::Device(format!(
                "the GPU's memory is full ({}): end other programs on it, or ask for f16, VAE tiling or a smaller picture",
                e.to_string().lines().next().unwrap_or_default()
            ))
        }
        other => other,
    }
}
