//! The clock of a run: when each request was sent, and how long the mock takes; injected, so that tests need not sleep.
//! How long a real engine takes is read in `process/driver.rs`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// A monotonic clock.
pub trait Clock {
    /// Nanoseconds since an arbitrary start; never decreases.
    fn now_ns(&self) -> u64;
}

/// The system's monotonic clock (`CLOCK_MONOTONIC`), zero when made.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock(Instant);

impl MonotonicClock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        nanoseconds(self.0.elapsed())
    }
}

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that moves only when told to; clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct FakeClock(Rc<Cell<u64>>);

impl FakeClock {
    /// Moves on.
    pub fn advance(&self, ns: u64) {
        self.0.set(self.0.get().saturating_add(ns));
    }
}

impl Clock for FakeClock {
    fn now_ns(&self) -> u64 {
        self.0.get()
    }
}

/// Processor time of the calling thread, nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a pointer to a local.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0;
    if failed { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}
