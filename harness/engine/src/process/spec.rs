//! What a process is started with.

use std::ffi::OsString;
use std::path::PathBuf;

use edgemaxx_contract::contest::Timeouts;

use super::confinement::SandboxStatus;
use super::limits::Limits;

/// Everything needed to start an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSpec {
    /// Program and arguments. A program without `/` is looked for in [`Pins::PATH`].
    pub command: Vec<OsString>,
    /// Folder it starts in; `None`: `/tmp`.
    pub folder: Option<PathBuf>,
    /// Files and folders it may read beside the system: checkpoint, replaced parts, its own folder. In the
    /// sandbox they appear read-only at the same paths, and nothing beside them does.
    pub read_only: Vec<PathBuf>,
    /// A folder it may write to, which outlives it: `CUDA_CACHE_PATH`, where the driver keeps the kernels that it compiled
    /// for the card. For programs that are trusted with a memory from launch to launch.
    pub kernels: Option<PathBuf>,
    /// Names of programs that must be in [`Pins::PATH`].
    pub needs: Vec<String>,
    /// Its environment.
    pub pins: Pins,
    /// Limits of resources.
    pub limits: Limits,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// How it is confined: what `detect_sandbox` found, found once for a run.
    pub sandbox: SandboxStatus,
}

/// The whole environment of an engine; nothing is inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Threads for OpenMP, MKL, OpenBLAS and rayon.
    pub threads: u32,
    /// GPUs it may see, as CUDA numbers them by bus; `None`: none.
    pub gpu: Option<u32>,
}

impl Pins {
    /// Where programs are looked for.
    pub const PATH: &'static str = "/usr/local/bin:/usr/bin:/bin";

    /// Names and values, sorted by name. The socket's `EDGEMAXX_SOCKET` is added at launch.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let threads = self.threads.to_string();
        let mut variables: Vec<(&'static str, String)> = [
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            ("DIFFUSERS_OFFLINE", "1"),
            ("HF_HUB_DISABLE_TELEMETRY", "1"),
            ("HF_HUB_OFFLINE", "1"),
            ("HOME", "/tmp"),
            ("LC_ALL", "C"),
            ("NVIDIA_TF32_OVERRIDE", "0"),
            ("PATH", Self::PATH),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONUNBUFFERED", "1"),
            ("TMPDIR", "/tmp"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("TRANSFORMERS_OFFLINE", "1"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        variables.push(("CUDA_VISIBLE_DEVICES", self.gpu.map_or_else(String::new, |gpu| gpu.to_string())));
        for name in ["MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"] {
            variables.push((name, threads.clone()));
        }
        variables.sort();
        variables
    }

    /// `NAME=value`, sorted: for `environment.json`.
    pub fn lines(&self) -> Vec<String> {
        self.variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}
