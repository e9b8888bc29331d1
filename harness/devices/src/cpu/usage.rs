//! What a process tree uses, for those who watch from outside: cheap enough to be asked often.

use super::proc::{field_bytes, stat, text};
use super::processes::{descendants, is_bubblewrap};

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

/// What the descendants of `root` use; `None` where `/proc` does not tell.
pub fn tree_usage(root: u32) -> Option<TreeUsage> {
    let page = page_bytes();
    let mut usage = TreeUsage::default();
    for (pid, depth) in descendants(root)? {
        let Some(stat) = stat(pid).filter(|stat| !is_bubblewrap(&stat.comm, depth)) else { continue };
        usage.processes.push(pid);
        usage.rss_bytes += stat.rss.saturating_mul(page);
        usage.minor_faults += stat.minflt + stat.cminflt;
        usage.major_faults += stat.majflt + stat.cmajflt;
    }
    usage.processes.sort_unstable();
    Some(usage)
}

/// Memory of processes in which what is shared is divided among those who share it, bytes: the
/// kernel walks all of their pages for it. `None` where it does not tell of any.
pub fn pss_bytes(processes: &[u32]) -> Option<u64> {
    let of = |pid: &u32| field_bytes(&text(&format!("/proc/{pid}/smaps_rollup"))?, "Pss");
    let known: Vec<u64> = processes.iter().filter_map(of).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}

fn page_bytes() -> u64 {
    // SAFETY: asks for a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

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
