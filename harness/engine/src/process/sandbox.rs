//! Confinement by bubblewrap: what works here, and the command line that does it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use edgemaxx_devices::Pins;

use super::group;
use super::limits::Limits;
use super::sandbox_status::{SandboxStatus, User};
use super::spec::ProcessSpec;

/// Tries to confine `true` the way engines are.
pub fn detect_sandbox() -> SandboxStatus {
    let unsandboxed = |reason: String| SandboxStatus::Unsandboxed { reason };
    if !cfg!(target_os = "linux") {
        return unsandboxed("bubblewrap needs Linux".to_owned());
    }
    let Some(program) = find_program(OsStr::new("bwrap")) else {
        return unsandboxed("bwrap not found; install bubblewrap (apt install bubblewrap)".to_owned());
    };
    let mut complaint = String::new();
    let place = group::usable();
    for (user, disable_userns) in users().iter().flat_map(|user| [(*user, true), (*user, false)]) {
        let (program, place) = (program.clone(), place.clone());
        let status = SandboxStatus::Bubblewrap { program, disable_userns, user, place };
        match attempt(&status) {
            Ok(output) if output.status.success() => return status,
            Ok(output) => complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => complaint = error.to_string(),
        }
    }
    let first_line = complaint.lines().next().unwrap_or("bwrap failed without a word").to_owned();
    let advice = advice(|path| std::fs::read_to_string(path).ok());
    unsandboxed(format!("{first_line}; {advice}"))
}

/// Whom engines may run as here, the best first.
fn users() -> &'static [User] {
    if nix::unistd::geteuid().is_root() {
        &[User::Stranger, User::StrangerThroughout, User::Root]
    } else {
        &[User::Harness]
    }
}

/// Confines `true`.
fn attempt(status: &SandboxStatus) -> std::io::Result<Output> {
    let spec = ProcessSpec {
        command: vec!["true".into()],
        folder: None,
        read_only: Vec::new(),
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(1),
        limits: Limits { tmp_bytes: 1 << 20, ..Limits::default() },
        timeouts: edgemaxx_contract::contest::Timeouts { load_s: 1.0, request_s: 1.0, exit_s: 1.0 },
        sandbox: status.clone(),
    };
    let SandboxStatus::Bubblewrap { program, user, disable_userns, .. } = status else {
        return Err(std::io::Error::other("not bubblewrap"));
    };
    let stranger = stranger();
    let sandbox =
        Sandbox { bwrap: program, disable_userns: *disable_userns, user: *user, stranger, calls: None };
    let words = arguments(&sandbox, &spec, Path::new("/bin/true"), Access::Measured)?;
    let mut command = Command::new(program);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    if *user == User::StrangerThroughout {
        command.uid(stranger).gid(stranger);
    }
    command.output()
}

/// Users of such numbers do not exist. Those of one harness are told apart by its process's number.
const STRANGERS: u32 = 1_700_000_000;
/// How many a harness has, in turn: more than it has engines at once.
const EACH: u32 = 64;

/// The next user who owns nothing: each launch has one of its own, so that none is counted or signalled with another.
pub(super) fn stranger() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // The kernel numbers processes up to 2^22.
    let own = std::process::id() % (1 << 22);
    STRANGERS + own * EACH + NEXT.fetch_add(1, Ordering::Relaxed) % EACH
}

/// What to do where bubblewrap is there and may not make user namespaces; `read` gives a file of
/// `/proc/sys`.
fn advice(read: impl Fn(&str) -> Option<String>) -> &'static str {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor keeps bubblewrap from making user namespaces; give bwrap a profile with `userns,`, or set \
         kernel.apparmor_restrict_unprivileged_userns=0 by sysctl"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "set kernel.unprivileged_userns_clone=1 by sysctl: bubblewrap needs user namespaces"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "set user.max_user_namespaces=10000 by sysctl: bubblewrap needs user namespaces"
    } else {
        "bubblewrap needs user namespaces; a container must be allowed them (its seccomp profile, or CAP_SYS_ADMIN)"
    }
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
/// What processors and memory there are: runtimes that may not bind themselves to a core to find out (hwloc in OpenVINO) end
/// without it.
const TOPOLOGY: [&str; 2] = ["/sys/devices/system/cpu", "/sys/devices/system/node"];
/// Files of `/etc` that programs need to start, resolve names of users, and draw letters.
const ETC: [&str; 8] = [
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/passwd",
];

/// What of `/etc` names hosts and whom to trust; only with a network.
const NETWORK: [&str; 5] = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl", "/etc/ca-certificates", "/etc/pki"];

/// What a process may do beyond computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access<'a> {
    /// Nothing: it is measured.
    Measured,
    /// Use the network and write below one folder: it fetches what an engine needs.
    Install(&'a Path),
}

impl<'a> Access<'a> {
    /// The folder that may be written to.
    pub(super) fn folder(self) -> Option<&'a Path> {
        match self {
            Self::Measured => None,
            Self::Install(folder) => Some(folder),
        }
    }
}

/// Gives a folder and all in it to a user. Links are given, not followed.
pub(super) fn give(folder: &Path, user: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(folder, Some(user), Some(user))?;
    if folder.is_symlink() || !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        give(&entry?.path(), user)?;
    }
    Ok(())
}

/// How bubblewrap is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sandbox<'a> {
    pub(super) bwrap: &'a Path,
    pub(super) disable_userns: bool,
    pub(super) user: User,
    /// The user's number, if it is to be another one.
    pub(super) stranger: u32,
    /// Descriptor of the filter of calls.
    pub(super) calls: Option<RawFd>,
}

/// The whole command line: bubblewrap, whom to become, limits, and `program` with the spec's arguments.
///
/// # Errors
/// What root needs to become somebody else is not installed.
pub(super) fn arguments(
    sandbox: &Sandbox<'_>,
    spec: &ProcessSpec,
    program: &Path,
    access: Access<'_>,
) -> std::io::Result<Vec<OsString>> {
    let mut line = Line(vec![sandbox.bwrap.into()]);
    let mut becoming = None;
    if sandbox.user == User::Stranger {
        let setpriv = find_program(OsStr::new("setpriv"));
        becoming = Some(setpriv.ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::NotFound, "setpriv not found; install util-linux")
        })?);
        line.words(["--cap-drop", "ALL"]);
        for power in ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"] {
            line.words(["--cap-add", power]);
        }
    } else {
        line.words(["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]);
    }
    if let Some(filter) = sandbox.calls {
        line.words(["--seccomp", &filter.to_string()]);
    }
    line.words(["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]);
    if access == Access::Measured {
        line.words(["--unshare-net"]);
    }
    line.words(["--die-with-parent", "--new-session", "--hostname", "engine"]);
    if sandbox.disable_userns && sandbox.user != User::Stranger {
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
    let mut ways = BTreeSet::new();
    for file in ETC.iter().chain(&TOPOLOGY).map(Path::new).filter(|file| file.exists()) {
        line.way_to(file, &mut ways);
        line.paths("--ro-bind-try", file, file);
    }
    if let Access::Install(_) = access {
        for file in NETWORK.map(Path::new) {
            // Often a link into a folder that is not shown.
            if let Ok(real) = file.canonicalize() {
                line.paths("--ro-bind", &real, file);
            }
        }
    }
    line.words(["--proc", "/proc", "--dev", "/dev"]);
    line.words(["--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm"]);
    for node in spec.pins.nodes() {
        line.paths("--dev-bind-try", &node, &node);
    }
    let mut shown = BTreeSet::new();
    for path in spec.read_only.iter().filter(|path| !visible(path)) {
        line.way_to(path, &mut shown);
        line.paths("--ro-bind", &real(path), path);
    }
    if let Access::Install(folder) = access {
        line.paths("--bind", &real(folder), folder);
    }
    if let Some(folder) = &spec.kernels {
        line.way_to(folder, &mut shown);
        line.paths("--bind", &real(folder), folder);
    }
    // What lies in a folder named above is there; binding over a link to it would fail.
    if !visible(program) && !spec.read_only.iter().any(|path| program.starts_with(path)) {
        line.way_to(program, &mut shown);
        line.paths("--ro-bind", &real(program), program);
    }
    // An engine that is root still owns root's files: /proc/sys among them. Its own processes' must stay writable, or
    // CUDA does not start.
    for path in writable_in_proc() {
        line.paths("--ro-bind-try", &path, &path);
    }
    line.words(["--remount-ro", "/dev", "--remount-ro", "/"]);
    line.paths("--chdir", spec.folder.as_deref().unwrap_or(Path::new("/tmp")), Path::new(""));
    line.0.pop();
    line.words(["--"]);
    if let Some(setpriv) = becoming {
        line.0.push(setpriv.into());
        let number = sandbox.stranger.to_string();
        line.words(["--reuid", &number, "--regid", &number, "--clear-groups", "--no-new-privs"]);
        line.words(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--"]);
    }
    if let Some(prlimit) = find_program(OsStr::new("prlimit")) {
        line.0.push(prlimit.into());
        let processes = spec.limits.processes;
        line.words([&format!("--nproc={processes}:{processes}"), "--"]);
    }
    line.0.push(program.into());
    line.0.extend(spec.command.iter().skip(1).cloned());
    Ok(line.0)
}

/// What bubblewrap is to bind: it looks for where a link leads among what it has already bound, and finds nothing there.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Whether engines see a path because it belongs to the system.
fn visible(path: &Path) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// The file that `program`, which lies in a folder that the engine reads, links to where it does not; and the folder that
/// this file belongs to.
pub(super) fn out_of_sight(spec: &ProcessSpec, program: &Path) -> Option<(PathBuf, PathBuf)> {
    let reads = |path: &Path| {
        spec.read_only.iter().any(|folder| path.starts_with(folder) || path.starts_with(real(folder)))
    };
    let target = program.canonicalize().ok()?;
    let seen = visible(&target) || reads(&target) || target.starts_with("/proc");
    if !reads(program) || seen {
        return None;
    }
    let folder = target.parent()?;
    let whole = folder.parent().filter(|_| folder.ends_with("bin")).unwrap_or(folder);
    Some((target.clone(), whole.to_owned()))
}

/// Entries of `/proc` besides those of processes that somebody may write to.
fn writable_in_proc() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_none_or(|name| name.parse::<u32>().is_err()))
        .filter(|entry| {
            entry.metadata().is_ok_and(|data| data.is_dir() || data.is_file() && data.mode() & 0o222 != 0)
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Folders of a checkpoint's files: what lies deeper may be anybody's and anything.
const DEPTH: u32 = 2;

/// What of these files, and of what lies in these folders and theirs, only root, or one user or group, may read, if
/// anything.
fn private<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<PathBuf> {
    paths.into_iter().find_map(|path| closed(path, DEPTH))
}

/// What keeps a user who owns nothing from these files and folders, and from the way to `kernels`, in words.
pub(super) fn kept_from(user: User, paths: &[&Path], kernels: Option<&Path>) -> Option<String> {
    let throughout = user == User::StrangerThroughout;
    let ways = || paths.iter().copied().chain(kernels).filter(|_| throughout);
    let path =
        private(paths.iter().copied()).or_else(|| ways().find(|path| hidden(path)).map(Path::to_owned))?;
    Some(format!(
        "{}: private; a root harness starts engines as a user of their own, who owns nothing and must be able to read \
         it (chmod o+rX{}), or run the harness as an ordinary user",
        path.display(),
        if throughout { ", its parents o+x" } else { "" }
    ))
}

/// What would keep engines that are started here from reading these files and folders, in words.
pub fn unreadable(paths: &[&Path]) -> Option<String> {
    // Only root starts them as somebody else, and looking as whom takes a process.
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    if private(paths.iter().copied()).is_none() && !paths.iter().any(|path| hidden(path)) {
        return None;
    }
    let user = detect_sandbox().user().filter(|user| user.owns_nothing())?;
    kept_from(user, paths, None)
}

/// Whether a folder above this path keeps others from reaching it.
fn hidden(path: &Path) -> bool {
    path.canonicalize().map_or(true, |real| !real.ancestors().skip(1).all(|folder| open(folder, 0o001)))
}

fn open(path: &Path, bits: u32) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.mode() & bits == bits)
}

/// The first path at or so many folders under this one that others may not read. Links in folders are not followed.
fn closed(path: &Path, depth: u32) -> Option<PathBuf> {
    if !path.is_dir() {
        return (!open(path, 0o004)).then(|| path.to_owned());
    }
    let Some(entries) = std::fs::read_dir(path).ok().filter(|_| open(path, 0o005)) else {
        return Some(path.to_owned());
    };
    let depth = depth.checked_sub(1)?;
    let mut inner: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    inner.sort();
    inner.iter().filter(|path| !path.is_symlink()).find_map(|path| closed(path, depth))
}

/// A command line in the making.
struct Line(Vec<OsString>);

impl Line {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    /// The folders above a path, which bubblewrap would close to all but its own user where they are closed outside.
    fn way_to(&mut self, path: &Path, shown: &mut BTreeSet<PathBuf>) {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        for folder in above.into_iter().rev() {
            if shown.insert(folder.to_owned()) {
                self.words(["--perms", "0755"]);
                self.0.extend(["--dir".into(), folder.into()]);
            }
        }
        shown.insert(path.to_owned());
    }

    fn paths(&mut self, option: &str, from: &Path, to: &Path) {
        self.0.extend([option.into(), from.into(), to.into()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_what_forbids_user_namespaces() {
        let with = |name: &'static str, value: &'static str| {
            advice(move |path| path.ends_with(name).then(|| format!("{value}\n")))
        };
        assert!(with("apparmor_restrict_unprivileged_userns", "1").contains("AppArmor"));
        assert!(with("unprivileged_userns_clone", "0").contains("unprivileged_userns_clone=1"));
        assert!(with("max_user_namespaces", "0").contains("max_user_namespaces=10000"));
        assert!(with("max_user_namespaces", "96365").contains("container"));
    }

    #[test]
    fn what_is_private_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        };
        let file = folder.path().join("file");
        std::fs::write(&file, "x").expect("write");
        mode(&file, 0o644);
        mode(folder.path(), 0o711);
        let there = Path::new("/usr/bin/env");
        assert_eq!(private([file.as_path()]), None);
        mode(&file, 0o640);
        assert_eq!(private([there, &file]), Some(file.clone()));
        mode(folder.path(), 0o755);
        assert_eq!(private([there, folder.path()]), Some(file.clone()), "in a folder");
        mode(&file, 0o644);
        assert_eq!(private([folder.path()]), None);
        mode(folder.path(), 0o700);
        assert!(hidden(&file) && private([file.as_path()]).is_none(), "a way that bubblewrap opens");
    }
}
