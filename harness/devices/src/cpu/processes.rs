//! Memory and processor time of a process tree, as `/proc` and the kernel's clocks show them.

use std::fs;

use super::proc::{field, field_bytes, text};

/// Processes of a tree that are looked at. It may grow while it is walked; what a limit of processes allows is enough.
const MOST: usize = 10_000;

/// Resident memory of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeMemory {
    /// Now, bytes.
    pub resident_bytes: u64,
    /// Sum of each process's own peak (`VmHWM`), bytes: at least the peak of the sum.
    pub peak_bytes: u64,
    /// Processes counted.
    pub processes: u32,
}

/// The descendants of `root` and how deep below it each is, from 1.
/// `None` where `/proc` does not tell.
pub(super) fn descendants(root: u32) -> Option<Vec<(u32, u32)>> {
    let mut todo: Vec<(u32, u32)> = children(root)?.into_iter().map(|pid| (pid, 1)).collect();
    let mut found = Vec::new();
    while let Some((pid, depth)) = todo.pop().filter(|_| found.len() < MOST) {
        todo.extend(children(pid).unwrap_or_default().into_iter().map(|child| (child, depth + 1)));
        found.push((pid, depth));
    }
    Some(found)
}

/// The processes below `root`. `None` where `/proc` does not tell.
pub fn tree(root: u32) -> Option<Vec<u32>> {
    Some(descendants(root)?.into_iter().map(|(pid, _)| pid).collect())
}

/// Whether a thread of the process is neither stopped, nor ending, nor gone.
pub fn runs(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |thread: fs::DirEntry| {
        let status = String::from_utf8_lossy(&fs::read(thread.path().join("status")).ok()?).into_owned();
        field(&status, "State")?.chars().next()
    };
    threads.filter_map(state).any(|state| !matches!(state, 'T' | 't' | 'Z' | 'X'))
}

/// Processor time that the machine has spent, nanoseconds: as exactly as this system counts it. `None` where it does
/// not tell.
pub fn machine_ns() -> Option<u64> {
    let number = |path: &str| text(path)?.trim().parse::<u64>().ok();
    number("/sys/fs/cgroup/cpuacct/cpuacct.usage").or_else(scheduled_ns).or_else(ticked_ns)
}

/// The time that tasks have run on each processor: the seventh number of its line.
fn scheduled_ns() -> Option<u64> {
    let text = text("/proc/schedstat")?;
    let lines = text.lines().filter(|line| line.starts_with("cpu"));
    let times: Option<Vec<u64>> =
        lines.map(|line| line.split_ascii_whitespace().nth(7)?.parse().ok()).collect();
    times.filter(|times| !times.is_empty()).map(|times| times.iter().sum())
}

/// All but idle time and waiting, and what a hypervisor took; in ticks of 10 ms.
fn ticked_ns() -> Option<u64> {
    let text = text("/proc/stat")?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else { return None };
    (user + nice + system + irq + softirq).checked_mul(10_000_000)
}

/// Processor time of this process so far, nanoseconds. `None` where the system does not tell.
pub fn own_ns() -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a pointer to a local.
    let known = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) == 0 };
    known.then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Whether a process is one of bubblewrap's own two, which are above the engine: an engine may call itself anything.
pub(super) fn is_bubblewrap(name: &str, depth: u32) -> bool {
    depth <= 2 && name == "bwrap"
}

/// Memory of the descendants of `root`, without `root` (the supervisor) and bubblewrap.
/// `None` where `/proc` does not tell.
pub fn memory(root: u32) -> Option<TreeMemory> {
    let mut total = TreeMemory::default();
    for (pid, depth) in descendants(root)? {
        let Some(status) = text(&format!("/proc/{pid}/status")) else { continue };
        if is_bubblewrap(field(&status, "Name").unwrap_or_default(), depth) {
            continue;
        }
        total.resident_bytes += field_bytes(&status, "VmRSS").unwrap_or(0);
        total.peak_bytes += field_bytes(&status, "VmHWM").unwrap_or(0);
        total.processes += 1;
    }
    Some(total)
}

/// Processor time of `root` and its descendants, and of those that they waited for, nanoseconds.
/// `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn cpu_ns(root: u32) -> Option<u64> {
    // SAFETY: asks for a constant of the system.
    let ticks_per_s = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|n| *n > 0)?;
    let mut total = clock_ns(root)?;
    for (pid, _) in descendants(root)? {
        total += clock_ns(pid).unwrap_or(0);
        total += waited_ticks(pid).unwrap_or(0) * 1_000_000_000 / ticks_per_s;
    }
    Some(total)
}

#[cfg(not(target_os = "linux"))]
pub fn cpu_ns(_: u32) -> Option<u64> {
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

/// Processor time of children that it waited for, in ticks.
#[cfg(target_os = "linux")]
fn waited_ticks(pid: u32) -> Option<u64> {
    let stat = super::proc::stat(pid)?;
    u64::try_from(stat.cutime.checked_add(stat.cstime)?).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_calls_itself_bubblewrap_is_counted() {
        assert!(
            is_bubblewrap("bwrap", 1) && is_bubblewrap("bwrap", 2),
            "its monitor, and the first process inside"
        );
        assert!(!is_bubblewrap("bwrap", 3) && !is_bubblewrap("python3", 1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_whose_name_is_no_text_is_counted() {
        use std::io::{Read as _, Write as _};
        // The name of a process is that of its file.
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
        std::os::unix::fs::symlink("/bin/sh", &odd).expect("a link");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "exec 3<&0; \"$0\" -c 'echo up; read end; :' <&3 & wait"])
            .arg(&odd)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut up = [0; 3];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut up).expect("it runs");
        let found = memory(child.id()).expect("/proc");
        let _ = child.stdin.as_mut().expect("a pipe").write_all(b"end\n");
        child.wait().expect("it ends");
        assert!(found.processes == 1 && found.resident_bytes > 0, "{found:?}");
    }
}
