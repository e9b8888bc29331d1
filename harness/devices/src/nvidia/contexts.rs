//! Contexts of other processes on a card, locked so that nothing of theirs computes there.
//!
//! The driver does it (570 and newer, made for checkpoints): a lock waits for all that was begun and lets nothing new
//! begin, until it is lifted. It talks to a thread in the process itself, so it must come before that process is
//! stopped, and may never come back where the process does not want it: each call is made by a thread of its own, and
//! given up in time.

use std::ffi::c_int;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use libloading::{Library, Symbol};

use crate::vendor::Hold;

/// `CUDA_SUCCESS`.
const DONE: c_int = 0;
/// `CUDA_ERROR_NOT_INITIALIZED`: the process has nothing to do with a card.
const NO_CONTEXT: c_int = 3;
/// `CU_PROCESS_STATE_LOCKED`.
const LOCKED: c_int = 1;
/// More than a call takes beside what it may wait.
const SPARE: Duration = Duration::from_secs(1);

/// `CUcheckpointLockArgs`: 64 bytes.
#[repr(C)]
struct LockArguments {
    timeout_ms: u32,
    reserved: [u32; 15],
}

type Locks = unsafe extern "C" fn(c_int, *mut LockArguments) -> c_int;
type Unlocks = unsafe extern "C" fn(c_int, *mut libc::c_void) -> c_int;
type States = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;

/// The driver's calls.
#[derive(Debug, Clone, Copy)]
struct Driver {
    lock: Locks,
    unlock: Unlocks,
    state: States,
}

/// What this driver can do; opened once, and kept.
///
/// # Errors
/// In words, why contexts cannot be locked here.
fn driver() -> Result<Driver, String> {
    static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
    DRIVER.get_or_init(open).clone()
}

fn open() -> Result<Driver, String> {
    // SAFETY: the driver's own library, whose initialisers every program on a card runs; the signatures are those of
    // cuda.h (12.8 and newer). It is never closed, so that the calls stay.
    unsafe {
        let library = Library::new("libcuda.so.1").map_err(|error| error.to_string())?;
        let library: &'static Library = Box::leak(Box::new(library));
        let initialise: Symbol<'static, unsafe extern "C" fn(u32) -> c_int> =
            library.get(b"cuInit\0").map_err(|error| error.to_string())?;
        let old = |_| "this driver cannot lock contexts: 570 or newer can".to_owned();
        let lock: Symbol<'static, Locks> = library.get(b"cuCheckpointProcessLock\0").map_err(old)?;
        let unlock: Symbol<'static, Unlocks> = library.get(b"cuCheckpointProcessUnlock\0").map_err(old)?;
        let state: Symbol<'static, States> = library.get(b"cuCheckpointProcessGetState\0").map_err(old)?;
        match initialise(0) {
            DONE => Ok(Driver { lock: *lock, unlock: *unlock, state: *state }),
            code => Err(format!("the driver cannot be used: error {code}")),
        }
    }
}

/// What became of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Locked,
    NoContext,
}

/// Contexts of one tree of processes.
#[derive(Debug)]
pub(super) struct Contexts {
    driver: Driver,
    locked: Vec<u32>,
    /// Processes that had none.
    others: Vec<u32>,
}

impl Contexts {
    /// # Errors
    /// In words, why contexts cannot be locked here.
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { driver: driver()?, locked: Vec::new(), others: Vec::new() })
    }
}

impl Hold for Contexts {
    fn lock(&mut self, processes: &[u32], deadline: Instant) -> Result<(), String> {
        let driver = self.driver;
        let new: Vec<u32> =
            processes.iter().copied().filter(|process| !self.locked.contains(process)).collect();
        for process in new {
            let left = deadline.saturating_duration_since(Instant::now());
            match in_time(left + SPARE, move || lock(driver, process, left))
                .unwrap_or_else(|| Err("the driver does not answer".to_owned()))
                .map_err(|why| format!("its work on the card does not end (process {process}: {why})"))?
            {
                Some(Found::Locked) => self.locked.push(process),
                Some(Found::NoContext) => self.others.push(process),
                None => {}
            }
        }
        Ok(())
    }

    fn know(&self, processes: &[u32]) -> bool {
        processes.iter().all(|process| self.locked.contains(process) || self.others.contains(process))
    }

    fn unlock(&mut self, patience: Duration) -> Result<(), String> {
        let locked = std::mem::take(&mut self.locked);
        self.others.clear();
        let driver = self.driver;
        for process in locked.into_iter().filter(|process| exists(*process)) {
            // SAFETY: no argument is needed.
            let unlock = move || unsafe { (driver.unlock)(process as c_int, std::ptr::null_mut()) };
            match in_time(patience, unlock) {
                Some(DONE) => {}
                _ if !exists(process) => {}
                Some(code) => {
                    return Err(format!("its contexts stay locked (process {process}: error {code})"));
                }
                None => return Err(format!("its contexts stay locked (process {process} does not answer)")),
            }
        }
        Ok(())
    }
}

/// Locks the contexts of one process; `None`: it is gone.
fn lock(driver: Driver, process: u32, patience: Duration) -> Result<Option<Found>, String> {
    let mut state = 0;
    // SAFETY: a pointer to a local.
    match unsafe { (driver.state)(process as c_int, &mut state) } {
        NO_CONTEXT => return Ok(Some(Found::NoContext)),
        DONE if state == LOCKED => return Ok(Some(Found::Locked)),
        DONE => {}
        _ if !exists(process) => return Ok(None),
        code => return Err(format!("error {code}")),
    }
    let timeout_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).max(1);
    let mut arguments = LockArguments { timeout_ms, reserved: [0; 15] };
    // SAFETY: as above.
    match unsafe { (driver.lock)(process as c_int, &mut arguments) } {
        DONE => Ok(Some(Found::Locked)),
        _ if !exists(process) => Ok(None),
        code => Err(format!("error {code}")),
    }
}

fn exists(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// What `work` gives, by a thread that is left alone when its time is over.
fn in_time<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = channel();
    std::thread::Builder::new().spawn(move || drop(sender.send(work()))).ok()?;
    receiver.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_in_time_is_given_up() {
        let asked = Instant::now();
        let late = in_time(Duration::from_millis(20), || std::thread::sleep(Duration::from_secs(60)));
        assert!(late.is_none() && asked.elapsed() < Duration::from_secs(30));
        assert_eq!(in_time(Duration::from_secs(60), || 7), Some(7));
    }

    /// A driver that knows one process with a context, this one, and one whose work does not end, the first.
    fn fake() -> Contexts {
        unsafe extern "C" fn state(process: c_int, state: *mut c_int) -> c_int {
            // SAFETY: a pointer to a local of who asks.
            unsafe { *state = 0 };
            let own = std::process::id() as c_int;
            if [own, 1].contains(&process) { DONE } else { NO_CONTEXT }
        }
        unsafe extern "C" fn lock(process: c_int, _: *mut LockArguments) -> c_int {
            // CUDA_ERROR_NOT_READY
            if process == 1 { 600 } else { DONE }
        }
        unsafe extern "C" fn unlock(_: c_int, _: *mut libc::c_void) -> c_int {
            DONE
        }
        Contexts { driver: Driver { lock, unlock, state }, locked: Vec::new(), others: Vec::new() }
    }

    #[test]
    fn who_has_a_context_is_locked_and_who_does_not_end_fails() {
        let (mut contexts, own) = (fake(), std::process::id());
        let soon = Instant::now() + Duration::from_secs(60);
        assert!(!contexts.know(&[own]), "nobody looked");
        contexts.lock(&[own, u32::MAX >> 1], soon).expect("both");
        assert_eq!((contexts.locked.clone(), contexts.others.clone()), (vec![own], vec![u32::MAX >> 1]));
        assert!(contexts.know(&[own]) && !contexts.know(&[own, 2]), "one who came later");
        contexts.unlock(Duration::from_secs(60)).expect("unlocked");
        assert!(!contexts.know(&[own]), "it may have begun anew");
        let failure = contexts.lock(&[1], soon).expect_err("its kernel does not end");
        assert!(failure.contains("process 1: error 600"), "{failure}");
    }

    #[test]
    fn a_lock_is_as_large_as_the_driver_reads() {
        assert_eq!(size_of::<LockArguments>(), 64);
    }
}
