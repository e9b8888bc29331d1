//! Starts a process.

use std::ffi::{OsStr, OsString};
#[cfg(target_os = "linux")]
use std::io::Write as _;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use edgemaxx_devices::{Pins, vendor};

use super::cores::{Cores, keep_to};
use super::group::Group;
use super::limits::Limits;
use super::running::Running;
use super::sandbox::{self, Access, Sandbox, find_program};
use super::sandbox_status::{SandboxStatus, User};
use super::spec::ProcessSpec;

/// Name of the variable that tells an engine its socket: `fd:N`, an open descriptor.
pub(crate) const SOCKET_VARIABLE: &str = "EDGEMAXX_SOCKET";

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
    let card = spec.pins.card.as_ref().and_then(|card| vendor(card.kind).hold(card, spec.set_aside).ok());
    ours.set_nonblocking(true)?;
    Ok(Spawned { running: Running::new(child, control, report, group, card), socket: ours, output })
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
