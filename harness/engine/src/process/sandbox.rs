//! Confinement by bubblewrap: what works here, and the command line that does it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cgroup::Place;
use super::spec::{Limits, Pins, ProcessSpec};

/// How engines are confined on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxStatus {
    /// By bubblewrap.
    Bubblewrap {
        /// Its path.
        program: PathBuf,
        /// `--disable-userns` is understood (bubblewrap 0.8).
        disable_userns: bool,
        /// What binds the number of their processes.
        processes: ProcessLimit,
    },
    /// Not at all: engines can read what the user can, and use the network.
    Unsandboxed {
        /// Why, and what to do about it.
        reason: String,
    },
}

/// What keeps an engine from starting processes without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessLimit {
    /// `RLIMIT_NPROC`, which binds every user but root.
    User,
    /// A cgroup, which binds root too.
    Group(Place),
    /// Nothing in the kernel: the harness is root and may make no cgroup.
    Nothing,
}

impl ProcessLimit {
    /// The best there is here.
    fn find() -> Self {
        match Place::find() {
            Some(place) => Self::Group(place),
            None if nix::unistd::geteuid().is_root() => Self::Nothing,
            None => Self::User,
        }
    }
}

impl SandboxStatus {
    /// What is not protected although engines are confined, in words, with what to do about it.
    pub fn gap(&self) -> Option<&'static str> {
        match self {
            Self::Bubblewrap { processes: ProcessLimit::Nothing, .. } => Some(
                "nothing in the kernel limits the number of an engine's processes, because the harness is root \
                 and may make no cgroup; run it as an ordinary user, or where /sys/fs/cgroup can be written",
            ),
            _ => None,
        }
    }

    /// Whether engines are confined.
    pub fn is_sandboxed(&self) -> bool {
        matches!(self, Self::Bubblewrap { .. })
    }
}

impl fmt::Display for SandboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bubblewrap { processes: ProcessLimit::User, .. } => f.write_str("bubblewrap"),
            Self::Bubblewrap { processes: ProcessLimit::Group(place), .. } => {
                write!(f, "bubblewrap; {}", place.words())
            }
            Self::Bubblewrap { processes: ProcessLimit::Nothing, .. } => {
                f.write_str("bubblewrap; the number of processes is not limited")
            }
            Self::Unsandboxed { reason } => write!(f, "unsandboxed: {reason}"),
        }
    }
}

/// Tries to confine `true` the way engines are.
pub fn detect_sandbox() -> SandboxStatus {
    let unsandboxed = |reason: String| SandboxStatus::Unsandboxed { reason };
    if !cfg!(target_os = "linux") {
        return unsandboxed("bubblewrap needs Linux".to_owned());
    }
    let Some(program) = find_program(OsStr::new("bwrap")) else {
        return unsandboxed("bwrap not found; install bubblewrap (apt install bubblewrap)".to_owned());
    };
    let processes = ProcessLimit::find();
    let mut complaint = String::new();
    for disable_userns in [true, false] {
        let status = SandboxStatus::Bubblewrap {
            program: program.clone(),
            disable_userns,
            processes: processes.clone(),
        };
        let spec = ProcessSpec {
            command: vec!["true".into()],
            folder: None,
            read_only: Vec::new(),
            needs: Vec::new(),
            pins: Pins { threads: 1, gpu: None },
            limits: Limits { tmp_bytes: 1 << 20, ..Limits::default() },
            timeouts: edgemaxx_contract::contest::Timeouts { load_s: 1.0, request_s: 1.0, exit_s: 1.0 },
            sandbox: status.clone(),
        };
        let mut words = arguments(&program, disable_userns, &spec, Path::new("/bin/true")).into_iter();
        let Some(first) = words.next() else { continue };
        let tried = Command::new(first).args(words).stdin(Stdio::null()).stdout(Stdio::null()).output();
        match tried {
            Ok(output) if output.status.success() => return status,
            Ok(output) => complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => complaint = error.to_string(),
        }
    }
    let first_line = complaint.lines().next().unwrap_or("bwrap failed without a word").to_owned();
    unsandboxed(format!(
        "{first_line}; bubblewrap needs unprivileged user namespaces, or root with CAP_SYS_ADMIN"
    ))
}

/// A program as found in [`Pins::PATH`], or at its path.
pub(super) fn find_program(name: &OsStr) -> Option<PathBuf> {
    let executable =
        |path: &Path| std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0);
    let path = Path::new(name);
    if path.components().count() > 1 || path.is_absolute() {
        return std::path::absolute(path).ok().filter(|path| executable(path));
    }
    Pins::PATH.split(':').map(|folder| Path::new(folder).join(path)).find(|path| executable(path))
}

/// Folders of the system that engines may read.
const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];
/// Files of `/etc` that programs need to start, resolve names of users, and draw letters.
const ETC: [&str; 9] = [
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/OpenCL",
];

/// The whole command line: bubblewrap, limits, and `program` with the spec's arguments.
pub(super) fn arguments(
    bwrap: &Path,
    disable_userns: bool,
    spec: &ProcessSpec,
    program: &Path,
) -> Vec<OsString> {
    let mut line = Line(vec![bwrap.into()]);
    line.words(["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]);
    line.words(["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]);
    line.words(["--die-with-parent", "--new-session", "--hostname", "engine"]);
    if disable_userns {
        line.words(["--disable-userns"]);
    }
    let size = spec.limits.tmp_bytes.to_string();
    line.words(["--perms", "1777", "--size", &size, "--tmpfs", "/tmp"]);
    for folder in SYSTEM {
        let path = Path::new(folder);
        match std::fs::read_link(path) {
            Ok(target) => line.paths("--symlink", &target, path),
            Err(_) if path.exists() => line.paths("--ro-bind", path, path),
            Err(_) => {}
        }
    }
    for file in ETC {
        line.paths("--ro-bind-try", Path::new(file), Path::new(file));
    }
    line.words(["--proc", "/proc", "--dev", "/dev"]);
    line.words(["--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm"]);
    if let Some(gpu) = spec.pins.gpu {
        let own = format!("/dev/nvidia{gpu}");
        for node in ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", &own] {
            line.paths("--dev-bind-try", Path::new(node), Path::new(node));
        }
    }
    let visible = |path: &Path| SYSTEM.iter().any(|folder| path.starts_with(folder));
    for path in spec.read_only.iter().filter(|path| !visible(path)) {
        line.paths("--ro-bind", path, path);
    }
    // What lies in a folder named above is there; binding over a link to it would fail.
    if !visible(program) && !spec.read_only.iter().any(|path| program.starts_with(path)) {
        line.paths("--ro-bind", program, program);
    }
    // Where the harness is root, the engine still owns root's files: /proc/sys among them.
    line.words(["--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"]);
    line.paths("--chdir", spec.folder.as_deref().unwrap_or(Path::new("/tmp")), Path::new(""));
    line.0.pop();
    line.words(["--"]);
    if let Some(prlimit) = find_program(OsStr::new("prlimit")) {
        line.0.push(prlimit.into());
        let processes = spec.limits.processes;
        line.words([&format!("--nproc={processes}:{processes}"), "--"]);
    }
    line.0.push(program.into());
    line.0.extend(spec.command.iter().skip(1).cloned());
    line.0
}

/// A command line in the making.
struct Line(Vec<OsString>);

impl Line {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    fn paths(&mut self, option: &str, from: &Path, to: &Path) {
        self.0.extend([option.into(), from.into(), to.into()]);
    }
}
