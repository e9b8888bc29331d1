//! What a process tree uses, for those who watch from outside: cheap enough to be asked often.

use std::fs;

use super::tree::children;

/// What the processes of a tree use now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeUsage {
    /// The processes, bubblewrap's own left out.
    pub processes: Vec<u32>,
    /// Sum of their resident memory, bytes.
    pub rss_bytes: u64,
    /// Page faults served from memory, those of processes that were waited for included.
    pub minor_faults: u64,
    /// Page faults that waited for the disk, likewise.
    pub major_faults: u64,
}

/// What the descendants of `root` use ([`crate::Engine::root`]); `None` where `/proc` does not tell.
pub fn tree_usage(root: u32) -> Option<TreeUsage> {
    let page = page_bytes();
    let mut usage = TreeUsage::default();
    let mut todo = children(root)?;
    for _ in 0..10_000 {
        let Some(pid) = todo.pop() else { break };
        todo.extend(children(pid).unwrap_or_default());
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((name, [minor, waited_minor, major, waited_major, pages])) = fields(&stat) else { continue };
        if name == "bwrap" {
            continue;
        }
        usage.processes.push(pid);
        usage.rss_bytes += pages * page;
        usage.minor_faults += minor + waited_minor;
        usage.major_faults += major + waited_major;
    }
    usage.processes.sort_unstable();
    Some(usage)
}

/// Memory of processes in which what is shared is divided among those who share it, bytes: the
/// kernel walks all of their pages for it. `None` where it does not tell of any.
pub fn pss_bytes(processes: &[u32]) -> Option<u64> {
    let of = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let known: Vec<u64> = processes.iter().filter_map(of).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}

/// Name, and of `/proc/PID/stat` the fields 10 to 13 (faults) and 24 (resident pages). The name in
/// brackets may hold anything, brackets too.
fn fields(stat: &str) -> Option<(&str, [u64; 5])> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let words: Vec<&str> = stat[close + 1..].split_ascii_whitespace().collect();
    let number = |field: usize| words.get(field - 3)?.parse::<u64>().ok();
    Some((stat.get(open + 1..close)?, [number(10)?, number(11)?, number(12)?, number(13)?, number(24)?]))
}

fn page_bytes() -> u64 {
    // SAFETY: asks for a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 101 102 103 104 5 6 7 8 20 0 3 0 99 4096 12 1844 1 1";
        assert_eq!(fields(stat), Some(("a) b (c", [101, 102, 103, 104, 12])));
        assert_eq!(fields("7 (sh) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_seen_with_its_memory() {
        let mut child =
            std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().expect("a shell");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let usage = tree_usage(child.id()).expect("/proc");
        let pss = pss_bytes(&usage.processes);
        for pid in &usage.processes {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(*pid as i32),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        child.wait().expect("waited for");
        assert_eq!(usage.processes.len(), 1, "the descendants, not the root");
        assert!(usage.rss_bytes > 100 << 10 && usage.minor_faults > 0, "{usage:?}");
        if let Some(pss) = pss {
            assert!(pss <= usage.rss_bytes, "sharing divides");
        }
    }
}
