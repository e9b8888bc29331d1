//! A running process tree: brought to rest, woken, waited for, and ended: asked first, then forced.

#[cfg(target_os = "linux")]
use std::io::Read as _;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use edgemaxx_devices::{Hold, cpu};

use super::group::Group;
use super::rest;
use super::socket::{Ready, wait};

/// A running process tree. Dropping it ends all of its processes.
pub(super) struct Running {
    /// The supervisor on Linux; elsewhere the engine itself.
    child: Child,
    /// Closed: end everything.
    control: Option<PipeWriter>,
    report: PipeReader,
    ended: Option<Ended>,
    /// Removed when the tree has ended.
    group: Option<Group>,
    /// What keeps it from the card that it sees.
    card: Option<Box<dyn Hold>>,
    at_rest: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Exit status of the engine (of bubblewrap, which passes it on).
    pub(super) status: ExitStatus,
    /// Peak resident memory of its largest process.
    pub(super) peak_rss_bytes: Option<u64>,
}

impl Running {
    /// What was started as `child`, which ends everything once `control` is closed and says on `report` how it ended.
    pub(super) fn new(
        child: Child,
        control: PipeWriter,
        report: PipeReader,
        group: Option<Group>,
        card: Option<Box<dyn Hold>>,
    ) -> Self {
        Self { child, control: Some(control), report, ended: None, group, card, at_rest: false }
    }

    /// The process whose descendants are the engine's processes.
    pub(super) fn root(&self) -> u32 {
        self.child.id()
    }

    /// Brings every process of the tree to rest.
    ///
    /// # Errors
    /// In words, why it is not at rest in time.
    pub(super) fn rest(&mut self, patience: Duration) -> Result<(), String> {
        if self.ended.is_some() || self.at_rest || !cfg!(target_os = "linux") {
            return Ok(());
        }
        self.at_rest = true;
        rest::rest(self.root(), self.group.as_ref(), self.card.as_mut(), patience)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// In words: they were not at rest, or cannot go on.
    pub(super) fn wake(&mut self, patience: Duration) -> Result<(), String> {
        if !self.at_rest {
            return Ok(());
        }
        self.at_rest = false;
        rest::wake(self.root(), self.group.as_ref(), self.card.as_mut(), patience)
    }

    /// Processor time of the whole tree so far, nanoseconds; `None` where it is not known.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        self.group.as_ref().and_then(Group::cpu_ns).or_else(|| cpu::cpu_ns(self.root()))
    }

    /// How much of that its memory's moves took, nanoseconds.
    pub(super) fn moved_ns(&self) -> u64 {
        self.card.as_ref().map_or(0, |card| card.moved_ns())
    }

    /// Its control group, if it has one.
    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// How it ended; `None` if it did not within `patience`.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<Ended> {
        if self.ended.is_some() {
            return self.ended;
        }
        let deadline = Instant::now() + patience;
        if cfg!(target_os = "linux") {
            if wait(&[(&self.report, Ready::Read)], deadline) {
                self.ended = self.read_report();
            }
        } else {
            while self.ended.is_none() {
                if let Ok(Some(status)) = self.child.try_wait() {
                    self.ended = Some(Ended { status, peak_rss_bytes: None });
                } else if Instant::now() >= deadline {
                    break;
                } else {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        self.ended
    }

    #[cfg(target_os = "linux")]
    fn read_report(&mut self) -> Option<Ended> {
        use std::os::unix::process::ExitStatusExt as _;
        let mut words = [0; super::supervisor::REPORT_BYTES];
        let complete = self.report.read_exact(&mut words).is_ok();
        let own = self.child.wait().ok()?;
        if !complete {
            // The supervisor itself was killed.
            return Some(Ended { status: own, peak_rss_bytes: None });
        }
        let (status, kib) = words.split_at(4);
        let status = i32::from_ne_bytes(status.try_into().ok()?);
        let kib = u64::from_ne_bytes(kib.try_into().ok()?);
        Some(Ended { status: ExitStatus::from_raw(status), peak_rss_bytes: Some(kib * 1024) })
    }

    #[cfg(not(target_os = "linux"))]
    fn read_report(&mut self) -> Option<Ended> {
        None
    }

    /// Asks it to end (SIGTERM), waits for `grace`, then ends every process of the tree.
    /// Whether it had to be killed.
    pub(super) fn end(&mut self, grace: Duration) -> bool {
        if self.ended.is_some() {
            return false;
        }
        // Who rests hears nothing.
        let _ = self.wake(Duration::from_secs(1));
        if let Some(control) = &mut self.control {
            let _ = control.write_all(b"T");
        }
        if !cfg!(target_os = "linux") {
            self.signal_group(libc::SIGTERM);
        }
        if self.wait(grace).is_some() {
            return false;
        }
        self.kill();
        true
    }

    fn kill(&mut self) {
        self.control = None;
        if !cfg!(target_os = "linux") {
            self.signal_group(libc::SIGKILL);
        }
        if self.wait(Duration::from_secs(20)).is_none() {
            // Something in it cannot be killed now (a device driver holds it); do not hang.
            let _ = self.child.kill();
        }
    }

    fn signal_group(&self, signal: libc::c_int) {
        // SAFETY: a signal to a process group that this process made and has not yet reaped.
        unsafe { libc::kill(-(self.child.id() as libc::pid_t), signal) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}
