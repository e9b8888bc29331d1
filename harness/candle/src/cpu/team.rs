//! Threads that compute one pass together: each takes its fixed share, and all meet at barriers between the parts. Dividing
//! a pass costs a fraction of a microsecond a part, where handing out jobs costs ten.
//!
//! Members spin while a pass runs, since another is about to arrive, and sleep between passes.
use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Turns of waiting before the processor is offered to others.
const SPINS: usize = 4_000;
/// Turns of waiting for the next pass before sleeping: some tens of microseconds.
const LINGER: usize = 2_000;

type Job = *const (dyn Fn(&Member) + Sync);

struct Common {
    count: usize,
    /// Passes begun.
    passes: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    finished: AtomicUsize,
    ended: AtomicBool,
    asleep: Mutex<()>,
    wake: Condvar,
    barrier: Barrier,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is written only between passes, when no member reads it; the order is that of `passes`.
unsafe impl Send for Common {}
// SAFETY: as above.
unsafe impl Sync for Common {}

#[derive(Default)]
struct Barrier {
    arrived: AtomicUsize,
    turns: AtomicUsize,
    broken: AtomicBool,
}

/// A team; the thread that asks is one of its members.
pub(crate) struct Team {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

/// One member's view of a pass.
pub(crate) struct Member<'a> {
    index: usize,
    common: &'a Common,
}

impl Team {
    /// Starts a team of `count` members.
    pub(crate) fn new(count: usize) -> std::io::Result<Self> {
        let common = Arc::new(Common {
            count: count.max(1),
            passes: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            finished: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
            barrier: Barrier::default(),
            panic: Mutex::new(None),
        });
        let mut team = Self { common, threads: vec![] };
        for index in 1..team.common.count {
            let common = Arc::clone(&team.common);
            let name = format!("team-{index}");
            team.threads.push(std::thread::Builder::new().name(name).spawn(move || serve(&common, index))?);
        }
        Ok(team)
    }

    /// Members.
    pub(crate) fn count(&self) -> usize {
        self.common.count
    }

    /// Has every member run `job`, and waits for all.
    ///
    /// # Panics
    /// Where a member panics: with what it panicked with, when all have ended.
    pub(crate) fn run(&mut self, job: &(dyn Fn(&Member) + Sync)) {
        let common = &*self.common;
        common.finished.store(0, Relaxed);
        // SAFETY: no pass runs, since `run` borrows the team alone and waits for all members; the job outlives the pass
        // for the same reason, so that its lifetime may be forgotten.
        unsafe {
            *common.job.get() = Some(std::mem::transmute::<*const (dyn Fn(&Member) + Sync + '_), Job>(job))
        };
        if common.count > 1 {
            let guard = common.asleep.lock().unwrap_or_else(PoisonError::into_inner);
            common.passes.fetch_add(1, Release);
            drop(guard);
            common.wake.notify_all();
        }
        attempt(common, 0, job);
        wait(|| common.finished.load(Acquire) == common.count);
        let panic = common.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            common.barrier.arrived.store(0, Relaxed);
            common.barrier.broken.store(false, Relaxed);
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        let guard = self.common.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.common.ended.store(true, Release);
        drop(guard);
        self.common.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Runs a member's part; a panic breaks the barrier, so that nobody waits for the one who is gone.
fn attempt(common: &Common, index: usize, job: &(dyn Fn(&Member) + Sync)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(&Member { index, common }))) {
        common.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        common.barrier.broken.store(true, Release);
    }
    common.finished.fetch_add(1, AcqRel);
}

fn serve(common: &Common, index: usize) {
    let mut done = 0;
    loop {
        let due = || common.passes.load(Acquire) != done || common.ended.load(Acquire);
        let mut turns = 0;
        while turns < LINGER && !due() {
            std::hint::spin_loop();
            turns += 1;
        }
        let mut guard = common.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        while !due() {
            guard = common.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        if common.ended.load(Acquire) {
            return;
        }
        done = common.passes.load(Acquire);
        // SAFETY: written before `passes` was raised, and not again before this member has finished.
        if let Some(job) = unsafe { *common.job.get() } {
            // SAFETY: `run` keeps the job alive until all have finished.
            attempt(common, index, unsafe { &*job });
        }
    }
}

/// Waits, offering the processor to others after a while.
fn wait(over: impl Fn() -> bool) {
    let mut turns = 0;
    while !over() {
        if turns < SPINS {
            turns += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

impl Member<'_> {
    /// Which of the members, from 0.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Members.
    pub(crate) fn count(&self) -> usize {
        self.common.count
    }

    /// This member's part of `total` equal pieces.
    pub(crate) fn share(&self, total: usize) -> Range<usize> {
        let at = |i: usize| total * i / self.common.count;
        at(self.index)..at(self.index + 1)
    }

    /// Waits until every member has come here.
    pub(crate) fn meet(&self) {
        let barrier = &self.common.barrier;
        let turn = barrier.turns.load(Acquire);
        if barrier.arrived.fetch_add(1, AcqRel) + 1 == self.common.count {
            barrier.arrived.store(0, Relaxed);
            barrier.turns.store(turn + 1, Release);
            return;
        }
        wait(|| barrier.turns.load(Acquire) != turn || barrier.broken.load(Acquire));
        assert!(barrier.turns.load(Acquire) != turn, "another member of the team panicked");
    }
}

/// A buffer of which the members of a team write disjoint parts, and read what others wrote after meeting.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: access is through unsafe functions, whose callers vouch for the order.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), of: PhantomData }
    }

    /// # Safety
    /// Nobody writes to the range meanwhile.
    pub(crate) unsafe fn read(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the buffer; the caller vouches that nobody writes.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// # Safety
    /// Nobody else reads or writes the range meanwhile.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches that nobody else has it")]
    pub(crate) unsafe fn write(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the buffer; the caller vouches that it is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_meet_and_share() {
        for count in [1, 2, 3, 5] {
            let mut team = Team::new(count).expect("team");
            let mut parts = vec![0usize; 64];
            for pass in 1..40 {
                let shared = Shared::new(&mut parts);
                let total = AtomicUsize::new(0);
                team.run(&|m| {
                    let range = m.share(64);
                    // SAFETY: shares are disjoint.
                    unsafe { shared.write(range.clone()) }.iter_mut().for_each(|v| *v += 1);
                    m.meet();
                    // SAFETY: all have written.
                    let sum: usize = unsafe { shared.read(0..64) }.iter().sum();
                    assert_eq!(sum, 64 * pass);
                    m.meet();
                    total.fetch_add(range.len(), Relaxed);
                });
                assert_eq!(total.load(Relaxed), 64);
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_one_who_asked_and_the_team_goes_on() {
        let mut team = Team::new(3).expect("team");
        for _ in 0..3 {
            let fell = catch_unwind(AssertUnwindSafe(|| {
                team.run(&|m| {
                    assert!(m.index() != 1, "planted");
                    m.meet();
                });
            }));
            assert!(fell.is_err());
            let met = AtomicUsize::new(0);
            team.run(&|m| {
                m.meet();
                met.fetch_add(1, Relaxed);
            });
            assert_eq!(met.load(Relaxed), 3);
        }
    }
}
