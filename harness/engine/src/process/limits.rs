//! What one process tree may use.

/// Limits of resources of one process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Writable private memory of one process (`RLIMIT_DATA`), bytes.
    pub memory_bytes: u64,
    /// Processes and threads (`RLIMIT_NPROC`); in the sandbox only, where no others count, and not for root.
    pub processes: u64,
    /// Size of a file it writes (`RLIMIT_FSIZE`), bytes.
    pub file_bytes: u64,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Size of the private `/tmp`, and of `/dev/shm`, bytes; in the sandbox only.
    pub tmp_bytes: u64,
}

impl Default for Limits {
    /// Enough for PyTorch with SDXL, on a machine that has it.
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 30,
            processes: 512,
            file_bytes: 4 << 30,
            open_files: 4096,
            tmp_bytes: 1 << 30,
        }
    }
}
