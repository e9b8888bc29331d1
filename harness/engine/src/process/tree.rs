//! Memory and processor time of a process tree, as `/proc` and the kernel's clocks show them.

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

/// Processor time of `root` and its descendants, and of those that they waited for, nanoseconds.
/// `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn cpu_ns(root: u32) -> Option<u64> {
    // SAFETY: asks for a constant of the system.
    let ticks_per_s = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|n| *n > 0)?;
    let mut total = clock_ns(root)?;
    let mut todo = children(root)?;
    for _ in 0..10_000 {
        let Some(pid) = todo.pop() else { break };
        todo.extend(children(pid).unwrap_or_default());
        total += clock_ns(pid).unwrap_or(0);
        total += waited_ticks(pid).unwrap_or(0) * 1_000_000_000 / ticks_per_s;
    }
    Some(total)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn cpu_ns(_: u32) -> Option<u64> {
    None
}

/// The process's own clock: exact, where `/proc` counts in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn clock_ns(pid: u32) -> Option<u64> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: pointers to locals.
    let known = unsafe {
        libc::clock_getcpuclockid(libc::pid_t::try_from(pid).ok()?, &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    known.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// `cutime` and `cstime` of `/proc/PID/stat`: the 16th and 17th field; the second one, the name in
/// brackets, may hold anything.
#[cfg(target_os = "linux")]
fn waited_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    fields.skip(13).take(2).map(|field| field.parse::<u64>().ok()).sum()
}

/// Children of all threads of a process.
pub(super) fn children(pid: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(list.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Some(all)
}
