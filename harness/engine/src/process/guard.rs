//! The last line against bombs: looks at the machine while the harness waits for an answer.
//!
//! Limits of processes do not bind a root user, and those of memory bind each process alone; so
//! a tree that takes most of the machine is ended. A look costs two small reads of `/proc`.
//! It is no substitute for a limit in the kernel: a fork bomb may starve the harness itself.

use std::fs;

use super::tree;

/// Threads that other programs may start meanwhile without a closer look at the tree.
const OTHER_THREADS: u64 = 256;

/// Watches the tree below a process.
#[derive(Debug)]
pub(super) struct Guard {
    root: u32,
    /// Processes that the tree may have.
    processes: u64,
    /// Threads on the machine before.
    threads_before: u64,
}

impl Guard {
    pub(super) fn new(root: u32, processes: u64) -> Self {
        Self { root, processes, threads_before: threads().unwrap_or(0) }
    }

    /// Errs in words when the tree is to be ended.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_processes()?;
        self.check_memory()
    }

    fn check_processes(&self) -> Result<(), String> {
        let Some(now) = threads() else { return Ok(()) };
        if now < self.threads_before + self.processes.min(OTHER_THREADS) {
            return Ok(());
        }
        match tree::memory(self.root) {
            Some(tree) if u64::from(tree.processes) > self.processes => {
                Err(format!("it had {} processes; at most {} are allowed", tree.processes, self.processes))
            }
            _ => Ok(()),
        }
    }

    fn check_memory(&self) -> Result<(), String> {
        let Ok(text) = fs::read_to_string("/proc/meminfo") else { return Ok(()) };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        let (Some(total), Some(available)) = (field("MemTotal:"), field("MemAvailable:")) else {
            return Ok(());
        };
        if available > total / 16 {
            return Ok(());
        }
        match tree::memory(self.root) {
            Some(tree) if tree.resident_bytes > (total - available) / 2 => Err(format!(
                "its processes held {} MiB and only {} MiB of memory were left on the machine",
                tree.resident_bytes >> 20,
                available >> 20
            )),
            _ => Ok(()),
        }
    }
}

/// Threads on the machine: `/proc/loadavg`, "… running/total last".
fn threads() -> Option<u64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}
