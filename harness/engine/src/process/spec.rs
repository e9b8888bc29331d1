//! What a process is started with.

use std::ffi::OsString;
use std::path::PathBuf;

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_devices::Pins;

use super::limits::Limits;
use super::sandbox_status::SandboxStatus;

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
    /// Whether what it has in a card's memory lies in the machine's while it rests.
    pub set_aside: bool,
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
