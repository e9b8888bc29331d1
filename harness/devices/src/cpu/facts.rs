//! What is found on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::disk::free_bytes;
use super::proc::{field_bytes, load, text};

/// What is found. `None`: the system does not tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Frequency governors of the processors, each once, sorted.
    pub(super) governors: Vec<String>,
    /// Processors that this process may use.
    pub(super) cpus: u32,
    /// Load over the last minute.
    pub(super) load: Option<f64>,
    /// Memory that programs can still get, bytes.
    pub(super) memory_free_bytes: Option<u64>,
    /// Room on the disk for the run, bytes.
    pub(super) disk_free_bytes: Option<u64>,
}

/// Looks at this machine; `folder` is where the run is written.
pub(super) fn gather(folder: &Path) -> Facts {
    Facts {
        governors: governors(),
        cpus: cpus(),
        load: load(Path::new("/")).map(|load| f64::from(load.one)),
        memory_free_bytes: memory_bytes().map(|(_, available)| available),
        disk_free_bytes: free_bytes(folder),
    }
}

/// Processors that this process may use.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Memory in all, and what of it programs can still get, bytes.
pub fn memory_bytes() -> Option<(u64, u64)> {
    let text = text("/proc/meminfo")?;
    Some((field_bytes(&text, "MemTotal")?, field_bytes(&text, "MemAvailable")?))
}

/// Threads on the machine.
pub fn threads() -> Option<u64> {
    load(Path::new("/")).map(|load| u64::from(load.max))
}

fn governors() -> Vec<String> {
    let folders = fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let governor = |folder: fs::DirEntry| {
        fs::read_to_string(folder.path().join("cpufreq/scaling_governor"))
            .ok()
            .map(|text| text.trim().to_owned())
    };
    folders.filter_map(governor).collect::<BTreeSet<_>>().into_iter().collect()
}
