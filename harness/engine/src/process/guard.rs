//! The last line against bombs: looks at the machine while the harness waits for an answer.
//!
//! Limits of processes do not bind a root user, and those of memory bind each process alone; so where hardly any memory is
//! left on the machine, a tree that holds more than a third of what is used is ended. A look costs two small reads of `/proc`.
//! It is no substitute for a limit in the kernel: a fork bomb may starve the harness itself.

use edgemaxx_devices::cpu;

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
        Self { root, processes, threads_before: cpu::threads().unwrap_or(0) }
    }

    /// Errs in words when the tree is to be ended. `held` is the memory that its control group counts, in bytes:
    /// what no process of it has mapped is in there too.
    pub(super) fn check(&self, held: Option<u64>) -> Result<(), String> {
        self.check_processes()?;
        self.check_memory(held)
    }

    fn check_processes(&self) -> Result<(), String> {
        let Some(now) = cpu::threads() else { return Ok(()) };
        if now < self.threads_before + self.processes.min(OTHER_THREADS) {
            return Ok(());
        }
        match cpu::memory(self.root) {
            Some(tree) if u64::from(tree.processes) > self.processes => {
                Err(format!("it had {} processes; at most {} are allowed", tree.processes, self.processes))
            }
            _ => Ok(()),
        }
    }

    fn check_memory(&self, held: Option<u64>) -> Result<(), String> {
        let Some((total, available)) = cpu::memory_bytes() else { return Ok(()) };
        if available > total / 16 {
            return Ok(());
        }
        let mapped = cpu::memory(self.root).map(|tree| tree.resident_bytes);
        match held.max(mapped) {
            Some(held) if held > (total - available) / 3 => Err(format!(
                "its processes held {} MiB and only {} MiB of memory were left on the machine",
                held >> 20,
                available >> 20
            )),
            _ => Ok(()),
        }
    }
}
