//! The card, its libraries' handles, and memory that the operations share.
use candle_core::{CudaDevice, DType, Device, Error, Result, bail};
use cudarc::cublaslt::{result as lt, sys as lts};
use cudarc::cudnn::{result as dnn, sys as dnns};
use cudarc::driver::{CudaSlice, DevicePtr as _, sys};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

/// Bytes for cuBLASLt's and cuDNN's intermediate results.
const WORKSPACE: usize = 128 << 20;
/// Partial sums of group norms, in numbers.
pub(super) const PARTIAL: usize = 1 << 21;
/// Images per batch at most.
pub(super) const IMAGES: usize = 4096;

/// A GPU that layers compute on; cheap to clone.
#[derive(Clone)]
pub(crate) struct Cuda {
    pub(super) shared: Arc<Shared>,
    /// Whether products of f32 may round their factors to TF32's 10 bits.
    pub(super) tf32: bool,
}

pub(super) struct Shared {
    pub(super) device: CudaDevice,
    pub(super) lt: lts::cublasLtHandle_t,
    pub(super) dnn: dnns::cudnnHandle_t,
    pub(super) workspace: CudaSlice<u8>,
    pub(super) partial: CudaSlice<f32>,
    pub(super) done: CudaSlice<u32>,
    /// Memory for [`Cuda::aside`].
    aside: sys::CUmemoryPool,
    pub(super) algorithms: Mutex<BTreeMap<super::product::Key, lts::cublasLtMatmulAlgo_t>>,
}

// SAFETY: all work goes through the one stream of `device`, and a pipeline lets one thread at a time use it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl std::fmt::Debug for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cuda({:?}, tf32: {})", self.shared.device, self.tf32)
    }
}

/// One set of handles a device, for as long as the process lives: the libraries take a second to load.
static OPEN: LazyLock<Mutex<Vec<Cuda>>> = LazyLock::new(Mutex::default);

impl Cuda {
    /// The operations on `device`, `None` where it is no CUDA device.
    pub(crate) fn of(device: &Device) -> Result<Option<Self>> {
        let Device::Cuda(device) = device else { return Ok(None) };
        let mut open = OPEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = open.iter().find(|c| c.shared.device.id() == device.id()) {
            return Ok(Some(known.clone()));
        }
        let new = Self::new(device.clone())?;
        open.push(new.clone());
        Ok(Some(new))
    }

    fn new(device: CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        // one stream only: nothing to order between streams, and events would not go into a recording
        // SAFETY: no other stream of this context is used.
        unsafe { device.disable_event_tracking() };
        with_pool(&device, keep_memory)?;
        let aside = second_pool(&device)?;
        let lt = lt::create_handle().map_err(Error::wrap)?;
        let dnn = dnn::create_handle().map_err(Error::wrap)?;
        // SAFETY: handle and stream are alive.
        unsafe { dnn::set_stream(dnn, stream.cu_stream().cast()) }.map_err(Error::wrap)?;
        // SAFETY: written before it is read.
        let workspace = unsafe { device.alloc::<u8>(WORKSPACE)? };
        // SAFETY: as above.
        let partial = unsafe { device.alloc::<f32>(PARTIAL)? };
        let done = device.alloc_zeros::<u32>(IMAGES)?;
        let algorithms = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared { device, lt, dnn, workspace, partial, done, aside, algorithms }),
            tf32: false,
        })
    }

    /// The same, where products of f32 may use tensor cores: for a VAE in f32 only because half would overflow.
    pub(crate) fn allowing_tf32(&self) -> Self {
        Self { tf32: true, ..self.clone() }
    }

    /// Whether rows of `channels` numbers can be moved in 16-byte vectors.
    #[expect(clippy::unused_self, reason = "a question to the device")]
    pub(crate) fn fits(&self, channels: usize, dtype: DType) -> bool {
        (channels * dtype.size_in_bytes()).is_multiple_of(16)
    }

    /// What decides the bits and the speed beside the weights: to compare runs by.
    pub(crate) fn settings(&self, dtype: DType) -> Vec<(&'static str, String)> {
        let shared = &self.shared;
        let mut driver = 0;
        // SAFETY: writes one number.
        let known = unsafe { sys::cuDriverGetVersion(&raw mut driver) } == sys::CUresult::CUDA_SUCCESS;
        let mut runtime = 0;
        // SAFETY: writes one number.
        unsafe { cudaRuntimeGetVersion(&raw mut runtime) };
        let dotted = |v: usize, big: usize, small: usize| format!("{}.{}", v / big, v % big / small);
        let half = matches!(dtype, DType::F16 | DType::BF16);
        vec![
            ("dtype", format!("{dtype:?}").to_lowercase()),
            ("convolution", "cudnn implicit_precomp_gemm nhwc, sums f32".to_owned()),
            ("product", "cublaslt, first heuristic, sums f32".to_owned()),
            ("attention", if half { "flash (own)" } else { "plain f32" }.to_owned()),
            ("graph", "on".to_owned()),
            ("cuda_driver", if known { dotted(driver as usize, 1000, 10) } else { "unknown".to_owned() }),
            ("cudart", dotted(runtime as usize, 1000, 10)),
            // SAFETY: plain function.
            ("cublaslt", unsafe { lts::cublasLtGetVersion() }.to_string()),
            ("cudnn", dnn::get_version().to_string()),
            ("gpu", shared.device.cuda_stream().context().name().unwrap_or_default()),
        ]
    }

    /// Runs `work`, for which all memory comes from a pool of its own. What lives shortly, such as weights that are
    /// turned over or a picture in the making, would otherwise leave holes between what stays.
    pub(crate) fn aside<T, E: From<Error>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let number = self.shared.device.cuda_stream().context().cu_device();
        let mut before = std::ptr::null_mut();
        // SAFETY: writes one pointer; all pools live as long as the process; one thread at a time uses the device.
        unsafe {
            checked(sys::cuDeviceGetMemPool(&raw mut before, number))?;
            checked(sys::cuDeviceSetMemPool(number, self.shared.aside))?;
        }
        let done = work();
        // SAFETY: as above.
        checked(unsafe { sys::cuDeviceSetMemPool(number, before) })?;
        done
    }

    /// Gives memory that nothing uses back to the driver: what loading left over, and what a recording takes while it
    /// runs.
    pub(crate) fn trim(&self) -> Result<()> {
        let device = &self.shared.device;
        let stream = device.cuda_stream();
        stream.synchronize().map_err(Error::wrap)?;
        // SAFETY: the pools and the device are alive, and no work is under way.
        unsafe {
            with_pool(device, |pool| sys::cuMemPoolTrimTo(pool, 0))?;
            checked(sys::cuMemPoolTrimTo(self.shared.aside, 0))?;
            checked(sys::cuDeviceGraphMemTrim(stream.context().cu_device()))
        }
    }

    /// What `work` makes, and the most bytes it held at once on the way.
    pub(super) fn most_memory<T>(
        &self,
        work: impl FnOnce() -> crate::error::Result<T>,
    ) -> crate::error::Result<(T, usize)> {
        let device = &self.shared.device;
        let (now, high) = (
            sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT,
            sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH,
        );
        let (mut before, mut most) = (0u64, 0u64);
        // SAFETY: the values are of 64 bits, as the attributes want; 0 sets the mark to what is used now.
        unsafe {
            with_pool(device, |pool| sys::cuMemPoolGetAttribute(pool, now, (&raw mut before).cast()))?;
            with_pool(device, |pool| sys::cuMemPoolSetAttribute(pool, high, (&raw mut most).cast()))?;
        }
        let made = work()?;
        // SAFETY: as above.
        with_pool(device, |pool| unsafe { sys::cuMemPoolGetAttribute(pool, high, (&raw mut most).cast()) })?;
        Ok((made, most.saturating_sub(before) as usize))
    }

    /// Address of the shared workspace, or of `more` bytes that live as long as the second value.
    pub(super) fn workspace(&self, bytes: usize) -> Result<(u64, Option<CudaSlice<u8>>)> {
        let stream = self.shared.device.cuda_stream();
        if bytes <= WORKSPACE {
            return Ok((self.shared.workspace.device_ptr(&stream).0, None));
        }
        // SAFETY: written before it is read.
        let more = unsafe { self.shared.device.alloc::<u8>(bytes)? };
        let at = more.device_ptr(&stream).0;
        Ok((at, Some(more)))
    }

    /// Bytes that the workspace always has.
    pub(super) const fn workspace_bytes() -> usize {
        WORKSPACE
    }
}

// libcudart comes with candle's kernels.
unsafe extern "C" {
    fn cudaRuntimeGetVersion(version: *mut i32) -> i32;
}

/// Has the driver keep freed memory for the next tensor instead of giving it back at every synchronisation.
fn keep_memory(pool: sys::CUmemoryPool) -> sys::CUresult {
    let mut all = u64::MAX;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the value is a u64, as the attribute wants.
    unsafe { sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut all).cast()) }
}

/// A pool beside the device's own.
fn second_pool(device: &CudaDevice) -> Result<sys::CUmemoryPool> {
    let number = device.cuda_stream().context().cu_device();
    let mut pool = std::ptr::null_mut();
    // SAFETY: all zeros are the defaults; a location is its kind and a number, whatever the version of CUDA calls them.
    unsafe {
        let mut wanted: sys::CUmemPoolProps = std::mem::zeroed();
        wanted.allocType = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
        let kind = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE as i32;
        (&raw mut wanted.location).cast::<[i32; 2]>().write([kind, number]);
        checked(sys::cuMemPoolCreate(&raw mut pool, &raw const wanted))?;
    }
    checked(keep_memory(pool))?;
    Ok(pool)
}

/// Calls the driver with the pool that tensors come from.
fn with_pool(device: &CudaDevice, call: impl FnOnce(sys::CUmemoryPool) -> sys::CUresult) -> Result<()> {
    let mut pool = std::ptr::null_mut();
    // SAFETY: the context is alive; writes one pointer.
    checked(unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, device.cuda_stream().context().cu_device())
    })?;
    checked(call(pool))
}

fn checked(result: sys::CUresult) -> Result<()> {
    match result {
        sys::CUresult::CUDA_SUCCESS => Ok(()),
        refused => bail!("the driver's memory pool: {refused:?}"),
    }
}
