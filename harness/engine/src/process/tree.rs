//! Memory of a process tree, as `/proc` shows it.

use std::fs;

/// Resident memory of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TreeMemory {
    /// Now, bytes.
    pub(super) resident_bytes: u64,
    /// Sum of each process's own peak (`VmHWM`), bytes: at least the peak of the sum.
    pub(super) peak_bytes: u64,
    /// Processes counted.
    pub(super) processes: u32,
}

/// Memory of the descendants of `root`, without `root` (the supervisor) and bubblewrap.
/// `None` where `/proc` does not tell.
pub(super) fn memory(root: u32) -> Option<TreeMemory> {
    let mut total = TreeMemory::default();
    let mut todo = children(root)?;
    // A tree may grow while it is walked; what a limit of processes allows is enough.
    for _ in 0..10_000 {
        let Some(pid) = todo.pop() else { break };
        todo.extend(children(pid).unwrap_or_default());
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        if field("Name") == Some("bwrap") {
            continue;
        }
        let bytes = |name| {
            field(name).and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        total.resident_bytes += bytes("VmRSS");
        total.peak_bytes += bytes("VmHWM");
        total.processes += 1;
    }
    Some(total)
}

/// Children of all threads of a process.
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(list.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Some(all)
}
