//! Contexts of other processes on a card, locked so that nothing of theirs computes there.
//!
//! The driver does it (570 and newer, made for checkpoints): a lock waits for all that was begun and lets nothing new
//! begin, until it is lifted. It talks to a thread in the process itself, so it must come before that process is
//! stopped, and may never come back where the process does not want it: each call is made by a thread of its own, and
//! given up in time. Then the same calls can move what a process has in the card's memory to the machine's, and back.
//!
//! All of this is about CUDA. What a process began by OpenCL or Vulkan goes on while it is locked and stopped (on an H200
//! with driver 580 a product of 0.20 ms took 2.6 ms beside queued kernels of OpenCL, and 42 ms beside Vulkan's), also where
//! the same process has contexts of CUDA that are locked. So nobody rests who has anything else there, as the driver's lists
//! say.

use std::ffi::c_int;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use libloading::{Library, Symbol};

use edgemaxx_contract::environment::Card;

use super::listed::{Listed, listed};
use crate::cpu;
use crate::vendor::Hold;

/// `CUDA_SUCCESS`.
const DONE: c_int = 0;
/// `CUDA_ERROR_NOT_INITIALIZED`: the process has nothing to do with a card.
const NO_CONTEXT: c_int = 3;
/// `CUDA_ERROR_INVALID_DEVICE`.
const NO_SUCH_DEVICE: c_int = 101;
/// More than a machine has.
const MOST_CARDS: c_int = 64;
/// `CU_PROCESS_STATE_LOCKED`.
const LOCKED: c_int = 1;
/// The driver's part of OpenCL, as it stands in the map of a process that has loaded it.
const OPENCL: &str = "libnvidia-opencl";
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
/// Of a checkpoint and of a restore, whose arguments need not be given.
type Moves = unsafe extern "C" fn(c_int, *mut libc::c_void) -> c_int;
type States = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
type Retains = unsafe extern "C" fn(*mut *mut libc::c_void, c_int) -> c_int;
type Releases = unsafe extern "C" fn(c_int) -> c_int;

/// The driver's calls.
#[derive(Debug, Clone, Copy)]
struct Driver {
    lock: Locks,
    unlock: Unlocks,
    state: States,
    checkpoint: Moves,
    restore: Moves,
    retain: Retains,
    release: Releases,
}

/// What this driver can do; opened once it can be, and kept.
///
/// # Errors
/// In words, why contexts cannot be locked here, for now.
fn driver(card: &Card) -> Result<Driver, String> {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    if let Some(driver) = DRIVER.get() {
        return Ok(*driver);
    }
    let driver = lists_us(open()?, &|| listed(card))?;
    Ok(*DRIVER.get_or_init(|| driver))
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
        let checkpoint: Symbol<'static, Moves> =
            library.get(b"cuCheckpointProcessCheckpoint\0").map_err(old)?;
        let restore: Symbol<'static, Moves> = library.get(b"cuCheckpointProcessRestore\0").map_err(old)?;
        let retain: Symbol<'static, Retains> = library.get(b"cuDevicePrimaryCtxRetain\0").map_err(old)?;
        let release: Symbol<'static, Releases> =
            library.get(b"cuDevicePrimaryCtxRelease_v2\0").map_err(old)?;
        match initialise(0) {
            DONE => Ok(Driver {
                lock: *lock,
                unlock: *unlock,
                state: *state,
                checkpoint: *checkpoint,
                restore: *restore,
                retain: *retain,
                release: *release,
            }),
            code => Err(format!("the driver cannot be used: error {code}")),
        }
    }
}

/// That the driver lists processes by the numbers that they have here, which in a container it may not: this one is in
/// the card's list while it has a context there. Which of the cards it is, the list says.
///
/// # Errors
/// In words: it is not.
fn lists_us(driver: Driver, listed: &dyn Fn() -> Result<Listed, String>) -> Result<Driver, String> {
    for device in 0..MOST_CARDS {
        let mut context = std::ptr::null_mut();
        // SAFETY: a pointer to a local; a number that no device has is refused.
        match unsafe { (driver.retain)(&mut context, device) } {
            DONE => {}
            NO_SUCH_DEVICE => break,
            _ => continue,
        }
        let found = listed();
        // SAFETY: it was retained above.
        unsafe { (driver.release)(device) };
        if found?.computing.contains(&std::process::id()) {
            return Ok(driver);
        }
    }
    Err("the driver does not list this process among those on the card while it is there: in a container, start it \
         with --pid=host"
        .to_owned())
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
    /// Whether memory is moved too.
    set_aside: bool,
    /// Processor time that moving took, nanoseconds.
    moved_ns: u64,
    locked: Vec<u32>,
    /// Processes that had none.
    others: Vec<u32>,
    card: Card,
    /// Who has something on a card.
    listed: fn(&Card) -> Result<Listed, String>,
}

impl Contexts {
    /// # Errors
    /// In words, why contexts cannot be locked here.
    pub(super) fn new(card: &Card, set_aside: bool) -> Result<Self, String> {
        let (locked, others, card) = (Vec::new(), Vec::new(), card.clone());
        Ok(Self { driver: driver(&card)?, set_aside, moved_ns: 0, locked, others, card, listed })
    }

    /// One of a process's moves, whose processor time is kept apart.
    ///
    /// # Errors
    /// As [`call`].
    fn moving(&mut self, process: u32, patience: Duration, moves: Moves) -> Result<(), String> {
        let before = cpu::cpu_ns(process);
        // SAFETY: no argument is needed.
        call(process, patience, move |process| unsafe { moves(process, std::ptr::null_mut()) })?;
        if let (Some(before), Some(after)) = (before, cpu::cpu_ns(process)) {
            self.moved_ns += after.saturating_sub(before);
        }
        Ok(())
    }
}

/// One call about one process, given up in time.
///
/// # Errors
/// In words: the driver's error, or that it does not answer. None where the process is gone.
fn call(
    process: u32,
    patience: Duration,
    work: impl FnOnce(c_int) -> c_int + Send + 'static,
) -> Result<(), String> {
    match in_time(patience, move || work(process as c_int)) {
        Some(DONE) => Ok(()),
        _ if !exists(process) => Ok(()),
        Some(code) => Err(format!("process {process}: error {code}")),
        None => Err(format!("process {process} does not answer")),
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
                Some(Found::Locked) => {
                    self.locked.push(process);
                    if self.set_aside {
                        let left = deadline.saturating_duration_since(Instant::now());
                        self.moving(process, left + SPARE, driver.checkpoint).map_err(|why| {
                            format!("its memory cannot be moved from the card to the machine's ({why})")
                        })?;
                    }
                }
                Some(Found::NoContext) => self.others.push(process),
                None => {}
            }
        }
        Ok(())
    }

    fn keeps(&self, processes: &[u32]) -> Result<bool, String> {
        let known = |process: &u32| self.locked.contains(process) || self.others.contains(process);
        if !processes.iter().all(known) {
            return Ok(false);
        }
        let ask = || (self.listed)(&self.card);
        // A driver that is asked by others, too, may miss one question.
        let on_card =
            ask().or_else(|_| ask()).map_err(|why| format!("what is on the card is not known ({why})"))?;
        for process in processes {
            let locked = self.locked.contains(process);
            let by = if on_card.drawing.contains(process) {
                "by Vulkan or OpenGL"
            } else if on_card.computing.contains(process) && (self.set_aside || !locked) {
                "by another way than CUDA"
            } else if locked && has_loaded(*process, OPENCL)? {
                "by OpenCL"
            } else {
                continue;
            };
            return Err(format!(
                "it may work on the card {by}, which nothing keeps from it (process {process})"
            ));
        }
        Ok(true)
    }

    fn moved_ns(&self) -> u64 {
        self.moved_ns
    }

    fn unlock(&mut self, patience: Duration) -> Result<(), String> {
        let locked = std::mem::take(&mut self.locked);
        self.others.clear();
        let driver = self.driver;
        for process in locked.into_iter().filter(|process| exists(*process)) {
            if self.set_aside {
                self.moving(process, patience, driver.restore)
                    .map_err(|why| format!("its memory does not come back to the card ({why})"))?;
            }
            // SAFETY: no argument is needed.
            let unlock = move |process| unsafe { (driver.unlock)(process, std::ptr::null_mut()) };
            call(process, patience, unlock).map_err(|why| format!("its contexts stay locked ({why})"))?;
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

/// Whether a process has a library in its memory; one that is gone has not.
///
/// # Errors
/// In words: what it has there cannot be read.
fn has_loaded(process: u32, library: &str) -> Result<bool, String> {
    match fs::read(Path::new("/proc").join(process.to_string()).join("maps")) {
        Ok(maps) => Ok(String::from_utf8_lossy(&maps).contains(library)),
        Err(_) if !exists(process) => Ok(false),
        Err(error) => Err(format!(
            "what process {process} has loaded cannot be read: {error}; in a container that takes --cap-add SYS_PTRACE"
        )),
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use edgemaxx_contract::contest::DeviceKind;

    use super::*;

    #[test]
    fn who_does_not_answer_in_time_is_given_up() {
        let asked = Instant::now();
        let late = in_time(Duration::from_millis(20), || std::thread::sleep(Duration::from_secs(60)));
        assert!(late.is_none() && asked.elapsed() < Duration::from_secs(30));
        assert_eq!(in_time(Duration::from_secs(60), || 7), Some(7));
    }

    /// A driver that knows one process with a context, this one, and one whose work does not end, the first.
    fn fake(set_aside: bool) -> Contexts {
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
        // Where its memory is: away after a checkpoint, until it is back.
        static AWAY: AtomicBool = AtomicBool::new(false);
        unsafe extern "C" fn checkpoint(_: c_int, _: *mut libc::c_void) -> c_int {
            // CUDA_ERROR_ILLEGAL_STATE
            if AWAY.swap(true, Ordering::SeqCst) { 401 } else { DONE }
        }
        unsafe extern "C" fn restore(_: c_int, _: *mut libc::c_void) -> c_int {
            if AWAY.swap(false, Ordering::SeqCst) { DONE } else { 401 }
        }
        // The second of two devices is free.
        unsafe extern "C" fn retain(_: *mut *mut libc::c_void, device: c_int) -> c_int {
            [2, DONE].get(device as usize).copied().unwrap_or(NO_SUCH_DEVICE)
        }
        unsafe extern "C" fn release(_: c_int) -> c_int {
            DONE
        }
        let driver = Driver { lock, unlock, state, checkpoint, restore, retain, release };
        let (locked, others) = Default::default();
        Contexts { driver, set_aside, moved_ns: 0, locked, others, card: some_card(), listed: nobody }
    }

    fn some_card() -> Card {
        let (name, uuid, driver, node) = Default::default();
        Card { kind: DeviceKind::Cuda, index: 0, name, uuid, driver, node }
    }

    fn nobody(_: &Card) -> Result<Listed, String> {
        Ok(Listed::default())
    }

    /// The lists where this process has a context.
    fn this_one(_: &Card) -> Result<Listed, String> {
        Ok(Listed { computing: [std::process::id()].into(), ..Listed::default() })
    }

    fn drawing(card: &Card) -> Result<Listed, String> {
        Ok(Listed { drawing: [std::process::id()].into(), ..this_one(card)? })
    }

    #[test]
    fn who_has_anything_on_the_card_that_no_lock_keeps_from_it_does_not_rest() {
        let (own, soon) = (std::process::id(), Instant::now() + Duration::from_secs(60));
        let keeps = |set_aside: bool, locked: bool, listed: fn(&Card) -> Result<Listed, String>| {
            let mut contexts = Contexts { listed, ..fake(set_aside) };
            match locked {
                true => contexts.lock(&[own], soon).expect("locked"),
                false => contexts.others.push(own),
            }
            let kept = contexts.keeps(&[own]);
            contexts.unlock(Duration::from_secs(60)).expect("unlocked");
            kept
        };
        assert_eq!(keeps(false, true, nobody), Ok(true));
        assert_eq!(keeps(false, false, nobody), Ok(true));
        assert_eq!(keeps(false, true, this_one), Ok(true), "by the context that is locked");
        let failure = keeps(false, false, this_one).expect_err("OpenCL, without CUDA");
        assert!(
            failure.contains("by another way than CUDA") && failure.contains(&own.to_string()),
            "{failure}"
        );
        for (locked, set_aside) in [(true, false), (false, false), (true, true)] {
            let failure = keeps(set_aside, locked, drawing).expect_err("Vulkan");
            assert!(failure.contains("by Vulkan or OpenGL"), "{failure}");
        }
        let failure = keeps(true, true, this_one).expect_err("its memory is away, and it is still there");
        assert!(failure.contains("by another way than CUDA"), "{failure}");
        let failure = keeps(false, true, |_| Err("no answer".to_owned())).expect_err("nothing is known");
        assert!(failure.contains("is not known (no answer)"), "{failure}");
    }

    #[test]
    fn where_this_process_is_not_listed_lists_prove_nothing() {
        let tried =
            |listed: &dyn Fn() -> Result<Listed, String>| lists_us(fake(false).driver, listed).map(drop);
        assert_eq!(tried(&|| this_one(&some_card())), Ok(()));
        let failure = tried(&|| nobody(&some_card())).expect_err("other numbers");
        assert!(failure.contains("--pid=host"), "{failure}");
        assert_eq!(tried(&|| Err("no answer".to_owned())), Err("no answer".to_owned()));
    }

    #[test]
    fn a_library_in_memory_is_seen() {
        let own = std::process::id();
        assert_eq!(has_loaded(own, "/libc"), Ok(true));
        assert_eq!(has_loaded(own, OPENCL), Ok(false));
        assert_eq!(has_loaded(u32::MAX >> 1, "/libc"), Ok(false), "it is gone");
    }

    #[test]
    fn memory_is_set_aside_once_and_comes_back_before_the_process_goes_on() {
        let (mut contexts, own) = (fake(true), std::process::id());
        let soon = Instant::now() + Duration::from_secs(60);
        for _ in 0..2 {
            contexts.lock(&[own, u32::MAX >> 1], soon).expect("set aside");
            contexts.lock(&[own], soon).expect("it is already");
            contexts.unlock(Duration::from_secs(60)).expect("back");
        }
        contexts.lock(&[own], soon).expect("set aside");
        let failure = fake(true).lock(&[own], soon).expect_err("its memory is away already");
        assert!(
            failure.contains("cannot be moved from the card") && failure.contains("error 401"),
            "{failure}"
        );
        contexts.unlock(Duration::from_secs(60)).expect("back");
        contexts.locked.push(own);
        let failure = contexts.unlock(Duration::from_secs(60)).expect_err("nothing was away");
        assert!(failure.contains("does not come back to the card"), "{failure}");
    }

    #[test]
    fn who_has_a_context_is_locked_and_who_does_not_end_fails() {
        let (mut contexts, own) = (fake(false), std::process::id());
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(contexts.keeps(&[own]), Ok(false), "nobody looked");
        contexts.lock(&[own, u32::MAX >> 1], soon).expect("both");
        assert_eq!((contexts.locked.clone(), contexts.others.clone()), (vec![own], vec![u32::MAX >> 1]));
        assert_eq!(contexts.keeps(&[own]), Ok(true));
        assert_eq!(contexts.keeps(&[own, 2]), Ok(false), "one who came later");
        contexts.unlock(Duration::from_secs(60)).expect("unlocked");
        assert_eq!(contexts.keeps(&[own]), Ok(false), "it may have begun anew");
        let failure = contexts.lock(&[1], soon).expect_err("its kernel does not end");
        assert!(failure.contains("process 1: error 600"), "{failure}");
    }

    #[test]
    fn a_lock_is_as_large_as_the_driver_reads() {
        assert_eq!(size_of::<LockArguments>(), 64);
    }
}
