//! Starts a process and ends it.

use std::ffi::{OsStr, OsString};
#[cfg(target_os = "linux")]
use std::io::Read as _;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use edgemaxx_devices::{Hold, Pins, cpu, vendor};

use super::cores::{Cores, keep_to};
use super::group::Group;
use super::limits::Limits;
use super::rest;
use super::sandbox::{self, Access, Sandbox, find_program};
use super::sandbox_status::{SandboxStatus, User};
use super::socket::{Ready, wait};
use super::spec::ProcessSpec;

/// Name of the variable that tells an engine its socket: `fd:N`, an open descriptor.
pub(crate) const SOCKET_VARIABLE: &str = "EDGEMAXX_SOCKET";

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

/// What a fresh process leaves the harness with.
pub(super) struct Spawned {
    pub(super) running: Running,
    pub(super) socket: UnixStream,
    /// Its standard output and error, one pipe.
    pub(super) output: PipeReader,
}

/// Looks for the programs that an engine needs.
///
/// # Errors
/// In words, which of them is not installed here.
pub fn needs(names: &[String]) -> Result<(), String> {
    names.iter().find(|name| find_program(OsStr::new(name)).is_none()).map_or(Ok(()), |missing| {
        Err(format!("it needs {missing:?}, which is in none of {}; install it here", Pins::PATH))
    })
}

/// Starts the process.
pub(super) fn spawn(spec: &ProcessSpec, access: Access<'_>) -> Result<Spawned, String> {
    let name = spec.command.first().ok_or("an empty command")?;
    let program = find_program(name).ok_or_else(|| {
        format!(
            "{}: no such program; give an absolute path, or install it in one of {}",
            name.display(),
            Pins::PATH
        )
    })?;
    needs(&spec.needs)?;
    for path in &spec.read_only {
        std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if spec.sandbox.is_sandboxed()
        && let Some((target, folder)) = sandbox::out_of_sight(spec, &program)
    {
        return Err(format!(
            "{}: a link to {}, which the engine cannot see; let it read {}, too (--read, or `files` in a contest: a \
             virtual environment needs the Python that it was made from)",
            program.display(),
            target.display(),
            folder.display()
        ));
    }
    let stranger = sandbox::stranger();
    if let Some(user) = spec.sandbox.user().filter(|user| user.owns_nothing()) {
        let paths: Vec<&Path> = spec.read_only.iter().chain([&program]).map(PathBuf::as_path).collect();
        if let Some(why) = sandbox::kept_from(user, &paths, spec.kernels.as_deref()) {
            return Err(why);
        }
        let given = [spec.kernels.as_deref(), access.folder()];
        for folder in given.into_iter().flatten() {
            sandbox::give(folder, stranger).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    start(spec, &program, access, stranger).map_err(|error| format!("{}: {error}", program.display()))
}

fn start(spec: &ProcessSpec, program: &Path, access: Access<'_>, stranger: u32) -> io::Result<Spawned> {
    let (ours, theirs) = UnixStream::pair()?;
    enlarge_buffers(&ours);
    enlarge_buffers(&theirs);
    let (output, engine_output) = io::pipe()?;
    let (control_end, control) = io::pipe()?;
    let (report, report_end) = io::pipe()?;

    let calls = if spec.sandbox.is_sandboxed() { filter_of_calls()? } else { None };
    let words: Vec<OsString> = match &spec.sandbox {
        SandboxStatus::Bubblewrap { program: bwrap, disable_userns, user, .. } => {
            let calls = calls.as_ref().map(|filter| filter.as_raw_fd());
            let sandbox = Sandbox { bwrap, disable_userns: *disable_userns, user: *user, stranger, calls };
            sandbox::arguments(&sandbox, spec, program, access)?
        }
        SandboxStatus::Unsandboxed { .. } => {
            std::iter::once(program.into()).chain(spec.command.iter().skip(1).cloned()).collect()
        }
    };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.env_clear().envs(spec.pins.variables());
    command.env(SOCKET_VARIABLE, format!("fd:{}", theirs.as_raw_fd()));
    if let Some(folder) = &spec.kernels {
        command.env("CUDA_CACHE_PATH", folder);
    }
    if !spec.sandbox.is_sandboxed() {
        command.current_dir(spec.folder.as_deref().unwrap_or(Path::new("/tmp")));
    }
    command.stdin(Stdio::null());
    command.stdout(OwnedFd::from(engine_output.try_clone()?)).stderr(OwnedFd::from(engine_output));

    let group = match &spec.sandbox {
        SandboxStatus::Bubblewrap { place: Some(place), .. } => Some(Group::new(place, &spec.limits)?),
        _ => None,
    };
    if spec.sandbox.user() == Some(User::StrangerThroughout) {
        command.uid(stranger).gid(stranger);
    }
    let doors: Vec<RawFd> = group.iter().flat_map(Group::doors).map(|door| door.as_raw_fd()).collect();
    let thaw = group.as_ref().and_then(Group::thaw).map(|(switch, word)| (switch.as_raw_fd(), word));
    let cores = match access {
        Access::Measured => Cores::of(spec.pins.threads).engine,
        Access::Install(_) => Vec::new(),
    };
    let passed: Vec<RawFd> =
        [theirs.as_raw_fd()].into_iter().chain(calls.as_ref().map(|filter| filter.as_raw_fd())).collect();
    let limits = spec.limits;
    let (control_fd, report_fd) = (control_end.as_raw_fd(), report_end.as_raw_fd());
    // SAFETY: between fork and exec only system calls are made; the descriptors live until
    // `command` is spawned.
    unsafe {
        command.pre_exec(move || {
            #[cfg(target_os = "linux")]
            super::supervisor::supervise(control_fd, report_fd, thaw)?;
            #[cfg(not(target_os = "linux"))]
            {
                let _ = (control_fd, report_fd, thaw);
                libc::setsid();
            }
            for door in &doors {
                if libc::write(*door, c"0".as_ptr().cast(), 1) != 1 {
                    return Err(io::Error::last_os_error());
                }
            }
            keep_to(&cores);
            limit(&limits)?;
            close_on_exec();
            for file in &passed {
                if libc::fcntl(*file, libc::F_SETFD, 0) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    let card = spec.pins.card.as_ref().and_then(|card| vendor(card.kind).hold(spec.set_aside).ok());
    ours.set_nonblocking(true)?;
    Ok(Spawned {
        running: Running { child, control: Some(control), report, ended: None, group, card, at_rest: false },
        socket: ours,
        output,
    })
}

/// What bubblewrap reads the filter of calls from; `None` where there is none.
#[cfg(target_os = "linux")]
fn filter_of_calls() -> io::Result<Option<PipeReader>> {
    let Some(filter) = super::seccomp::filter() else { return Ok(None) };
    // Less than a pipe holds.
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(&filter)?;
    Ok(Some(reader))
}

#[cfg(not(target_os = "linux"))]
fn filter_of_calls() -> io::Result<Option<PipeReader>> {
    Ok(None)
}

/// Room for a whole request or answer in the kernel, so that neither side waits for the other:
/// as much as the system allows, and what is needed where the harness is root.
fn enlarge_buffers(socket: &UnixStream) {
    let bytes: libc::c_int = 8 << 20;
    #[cfg(target_os = "linux")]
    const OPTIONS: [libc::c_int; 2] = [libc::SO_SNDBUF, libc::SO_SNDBUFFORCE];
    #[cfg(not(target_os = "linux"))]
    const OPTIONS: [libc::c_int; 1] = [libc::SO_SNDBUF];
    for option in OPTIONS {
        // SAFETY: a live descriptor and a pointer to a local of the length given. A refusal only
        // costs time.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

/// Whatever the harness itself inherited stays with it; safe between fork and exec.
fn close_on_exec() {
    #[cfg(target_os = "linux")]
    // SAFETY: changes flags of descriptors; those that are not open are refused.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return;
        }
    }
    for fd in 3..4096 {
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Sets the limits of the calling process; safe between fork and exec.
fn limit(limits: &Limits) -> io::Result<()> {
    let pairs = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_DATA, limits.memory_bytes),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_NOFILE, limits.open_files),
    ];
    for (resource, value) in pairs {
        let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: pointers to locals.
        let failed = unsafe {
            libc::getrlimit(resource, &mut current);
            let value = (value as libc::rlim_t).min(current.rlim_max);
            libc::setrlimit(resource, &libc::rlimit { rlim_cur: value, rlim_max: value }) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

impl Running {
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
