//! Fetching what a candidate's engine needs: with a network, before any request exists.
//!
//! The program is the stranger's own. It sees the system and its folder, writes to the folder's
//! `deps/` alone, and has no home and no other folder to look into. What it may reach over the
//! network, it may tell the world; there is nothing here that it could tell.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::Timeouts;
use edgemaxx_devices::Pins;

use super::last_words::LastWords;
use super::limits::Limits;
use super::sandbox::Access;
use super::sandbox_status::SandboxStatus;
use super::spawn::{Spawned, spawn};
use super::spec::ProcessSpec;

/// Between two looks at the clock and at the size of what was fetched.
const LOOK: Duration = Duration::from_millis(250);

/// What is fetched, and within which bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct InstallSpec {
    /// Program and arguments; a program with `/` lies in the folder.
    pub command: Vec<OsString>,
    /// The candidate's folder.
    pub folder: PathBuf,
    /// Limits of its processes.
    pub limits: Limits,
    /// Time, at most.
    pub timeout: Duration,
    /// Size of `deps/`, at most, bytes.
    pub bytes: u64,
    /// How it is confined.
    pub sandbox: SandboxStatus,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where it lies.
    pub deps: PathBuf,
    /// Its size, bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Something that cannot be installed. What was fetched so far is left for people to look at.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No sandbox.
    #[error("a stranger's installer is run in a sandbox or not at all; {0}")]
    Unsandboxed(String),
    /// The folder is not as it must be.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It could not be started.
    #[error("{0}")]
    Start(String),
    /// It failed.
    #[error("the installer {how}; it printed last: {tail}")]
    Failed {
        /// How.
        how: String,
        /// The end of its output.
        tail: String,
    },
    /// What it left cannot be part of a checkpoint.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Runs a candidate's installer, over an empty `deps/`: what an earlier one left would be part of the digest.
///
/// # Errors
/// [`InstallError`].
pub fn install(spec: &InstallSpec) -> Result<Installed, InstallError> {
    if !spec.sandbox.is_sandboxed() {
        return Err(InstallError::Unsandboxed(spec.sandbox.to_string()));
    }
    let problem = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| InstallError::Folder { path, problem: error.to_string() }
    };
    let folder = spec.folder.canonicalize().map_err(problem(&spec.folder))?;
    let deps = folder.join("deps");
    if fs::symlink_metadata(&deps).is_ok_and(|data| !data.is_dir()) {
        let problem = "expected a folder of its own, found a file or a link".to_owned();
        return Err(InstallError::Folder { path: deps, problem });
    }
    if deps.exists() {
        fs::remove_dir_all(&deps).map_err(problem(&deps))?;
    }
    fs::create_dir(&deps).map_err(problem(&deps))?;
    let seconds = spec.timeout.as_secs_f64();
    let process = ProcessSpec {
        command: spec.command.clone(),
        folder: Some(folder.clone()),
        read_only: vec![folder.clone()],
        kernels: None,
        set_aside: false,
        needs: Vec::new(),
        pins: Pins::processor(1),
        limits: spec.limits,
        timeouts: Timeouts { load_s: seconds, request_s: seconds, exit_s: 1.0 },
        sandbox: spec.sandbox.clone(),
    };
    let ran = run(&process, spec, &deps);
    let owner = fs::metadata(&folder).map_err(problem(&folder))?;
    tidy(&deps, &owner).map_err(problem(&deps))?;
    ran?;
    let content = look(&folder, &deps)?;
    if content.bytes > spec.bytes {
        return Err(too_large(spec, &deps));
    }
    Ok(content)
}

/// What Python keeps beside its sources, with the time of each.
const COMPILED: &str = "__pycache__";

/// What a stranger left becomes the folder's owner's, readable by all, and nothing in it makes who runs it somebody
/// else (setuid). What differs from install to install and can be made again goes.
fn tidy(path: &Path, owner: &fs::Metadata) -> std::io::Result<()> {
    if nix::unistd::geteuid().is_root() {
        lchown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    let data = fs::symlink_metadata(path)?;
    if !data.is_dir() && !data.is_file() {
        return Ok(());
    }
    let program = data.is_dir() || data.mode() & 0o111 != 0;
    fs::set_permissions(path, fs::Permissions::from_mode(if program { 0o755 } else { 0o644 }))?;
    if data.is_dir() {
        for entry in fs::read_dir(path)? {
            let inner = entry?.path();
            if inner.file_name().is_some_and(|name| name == COMPILED) && !inner.is_symlink() && inner.is_dir()
            {
                fs::remove_dir_all(&inner)?;
            } else {
                tidy(&inner, owner)?;
            }
        }
    }
    Ok(())
}

fn too_large(spec: &InstallSpec, deps: &Path) -> InstallError {
    let problem = format!("larger than {} MiB", spec.bytes >> 20);
    InstallError::Content { path: deps.to_owned(), problem }
}

/// Runs the program to its end, or to its bounds; every process of it is ended.
fn run(process: &ProcessSpec, spec: &InstallSpec, deps: &Path) -> Result<(), InstallError> {
    let deadline = Instant::now() + spec.timeout;
    let Spawned { mut running, socket, mut output } =
        spawn(process, Access::Install(deps)).map_err(InstallError::Start)?;
    drop(socket);
    let reader = std::thread::spawn(move || {
        let (mut last, mut buffer) = (LastWords::default(), [0; 4096]);
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            last.hear(&buffer[..count]);
        }
        last.words()
    });
    let ended = loop {
        if let Some(ended) = running.wait(LOOK) {
            break Ok(ended);
        }
        if Instant::now() >= deadline {
            break Err(format!("was ended after {:.0} s", spec.timeout.as_secs_f64()));
        }
        if size(deps, spec.bytes) > spec.bytes {
            break Err(format!("was ended when it had fetched more than {} MiB", spec.bytes >> 20));
        }
    };
    running.end(Duration::from_millis(500));
    drop(running);
    let tail = reader.join().unwrap_or_default();
    match ended {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(InstallError::Failed { how: super::driver::describe(ended.status), tail }),
        Err(how) => Err(InstallError::Failed { how, tail }),
    }
}

/// Bytes below a folder, links not followed; stops when there are more than `most`.
fn size(folder: &Path, most: u64) -> u64 {
    let (mut todo, mut bytes) = (vec![folder.to_owned()], 0u64);
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                todo.push(entry.path());
            } else {
                bytes = bytes.saturating_add(data.len());
            }
            if bytes > most {
                return bytes;
            }
        }
    }
    bytes
}

/// What was left: files, folders, and links that stay in the folder or name a program of the
/// system. Whatever else would make the candidate's digest mean something else on each machine.
fn look(folder: &Path, deps: &Path) -> Result<Installed, InstallError> {
    let mut found = Installed { deps: deps.to_owned(), bytes: 0, files: 0 };
    let mut todo = vec![deps.to_owned()];
    while let Some(place) = todo.pop() {
        let wrong = |path: &Path, problem: String| InstallError::Content { path: path.to_owned(), problem };
        let entries = fs::read_dir(&place).map_err(|error| wrong(&place, error.to_string()))?;
        for entry in entries {
            let path = entry.map_err(|error| wrong(&place, error.to_string()))?.path();
            let data = fs::symlink_metadata(&path).map_err(|error| wrong(&path, error.to_string()))?;
            if data.is_dir() {
                todo.push(path);
            } else if data.is_file() {
                (found.bytes, found.files) = (found.bytes.saturating_add(data.len()), found.files + 1);
            } else if data.is_symlink() {
                let target = path.canonicalize().map_err(|_| wrong(&path, "a link to nothing".to_owned()))?;
                let own = target.starts_with(folder) && !path.starts_with(&target);
                let program = target.starts_with("/usr") && target.is_file();
                if !own && !program {
                    return Err(wrong(
                        &path,
                        format!("a link that leads out of the folder, to {}", target.display()),
                    ));
                }
            } else {
                return Err(wrong(&path, "neither a file, a folder nor a link".to_owned()));
            }
        }
    }
    Ok(found)
}
