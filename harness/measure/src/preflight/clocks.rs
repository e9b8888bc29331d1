//! Locking a GPU's clocks, and putting them back: at the end, or, after a crash, the next time that
//! anybody looks. What is changed stands in a file before it is changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use edgemaxx_files::write_whole;
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;
use serde::{Deserialize, Serialize};

/// Name of the file that says what was changed.
const STATE_FILE: &str = "locked-clocks.json";

/// Clocks that cannot be locked or put back.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The driver refuses.
    #[error("GPU {device}: the driver does not {action} its clocks: {reason}; it takes root's rights")]
    Driver {
        /// The GPU.
        device: u32,
        /// `lock` or `reset`.
        action: &'static str,
        /// What the driver says.
        reason: String,
    },
    /// Somebody's lock is in the way.
    #[error(
        "GPU {device} is locked to {mhz} MHz already, by a run that goes on (process {owner}); wait for it"
    )]
    Taken {
        /// The GPU.
        device: u32,
        /// To what.
        mhz: u32,
        /// By whom.
        owner: u32,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Changes clocks; replaced in tests.
pub trait Clocks {
    /// Locks the clock of a GPU's multiprocessors.
    ///
    /// # Errors
    /// What the driver says.
    fn lock(&mut self, device: u32, mhz: u32) -> Result<(), String>;

    /// Lets the clock go.
    ///
    /// # Errors
    /// What the driver says.
    fn reset(&mut self, device: u32) -> Result<(), String>;
}

/// The driver's management library.
#[derive(Debug, Clone, Copy, Default)]
pub struct NvmlClocks;

impl Clocks for NvmlClocks {
    fn lock(&mut self, device: u32, mhz: u32) -> Result<(), String> {
        let setting = GpuLockedClocksSetting::Numeric { min_clock_mhz: mhz, max_clock_mhz: mhz };
        let nvml = Nvml::init().map_err(|error| error.to_string())?;
        nvml.device_by_index(device)
            .and_then(|mut device| device.set_gpu_locked_clocks(setting))
            .map_err(|error| error.to_string())
    }

    fn reset(&mut self, device: u32) -> Result<(), String> {
        let nvml = Nvml::init().map_err(|error| error.to_string())?;
        nvml.device_by_index(device)
            .and_then(|mut device| device.reset_gpu_locked_clocks())
            .map_err(|error| error.to_string())
    }
}

/// What was changed, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    device: u32,
    mhz: u32,
    /// The process for whose sake.
    owner: u32,
    /// When it started, in the kernel's ticks: numbers of processes are used again.
    owner_started: Option<u64>,
}

impl State {
    fn path(folder: &Path) -> PathBuf {
        folder.join(STATE_FILE)
    }

    fn read(folder: &Path) -> Result<Option<Self>, ClockError> {
        let path = Self::path(folder);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| ClockError::State { path, source: io::Error::other(error) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ClockError::State { path, source }),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), ClockError> {
        let path = Self::path(folder);
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            write_whole(&path, serde_json::to_string(self)?.as_bytes())
        };
        write().map_err(|source| ClockError::State { path: path.clone(), source })
    }

    fn owner_lives(&self) -> bool {
        let started = started(self.owner);
        started.is_some() && (self.owner_started.is_none() || started == self.owner_started)
    }
}

/// When a process started, in ticks since the machine did; `None`: there is no such process.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A GPU whose clocks are locked until this is dropped.
pub struct Lock {
    folder: PathBuf,
    clocks: Box<dyn Clocks>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = restore(&self.folder, self.clocks.as_mut());
    }
}

/// Locks a GPU's clocks for this process; `folder` keeps what must be put back.
///
/// # Errors
/// [`ClockError`]; nothing is locked then.
pub fn lock(folder: &Path, mut clocks: Box<dyn Clocks>, device: u32, mhz: u32) -> Result<Lock, ClockError> {
    leftover(folder, clocks.as_mut())?;
    if let Some(State { device, mhz, owner, .. }) = State::read(folder)? {
        return Err(ClockError::Taken { device, mhz, owner });
    }
    let owner = std::process::id();
    State { device, mhz, owner, owner_started: started(owner) }.write(folder)?;
    if let Err(reason) = clocks.lock(device, mhz) {
        let _ = fs::remove_file(State::path(folder));
        return Err(ClockError::Driver { device, action: "lock", reason });
    }
    Ok(Lock { folder: folder.to_owned(), clocks })
}

/// Puts back what a run that crashed has left; the GPU it was, if any.
///
/// # Errors
/// [`ClockError`]; the clocks are still locked then.
pub fn leftover(folder: &Path, clocks: &mut dyn Clocks) -> Result<Option<u32>, ClockError> {
    match State::read(folder)? {
        Some(state) if !state.owner_lives() => restore(folder, clocks),
        _ => Ok(None),
    }
}

/// Puts the clocks back, whoever locked them; the GPU it was, if any.
///
/// # Errors
/// [`ClockError`]; the clocks are still locked then.
pub fn restore(folder: &Path, clocks: &mut dyn Clocks) -> Result<Option<u32>, ClockError> {
    let Some(State { device, .. }) = State::read(folder)? else { return Ok(None) };
    clocks.reset(device).map_err(|reason| ClockError::Driver { device, action: "reset", reason })?;
    let path = State::path(folder);
    fs::remove_file(&path).map_err(|source| ClockError::State { path, source })?;
    Ok(Some(device))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Mock {
        done: Arc<Mutex<Vec<String>>>,
        refuses: bool,
    }

    impl Mock {
        fn note(&self, what: String) -> Result<(), String> {
            if self.refuses {
                return Err("insufficient permissions".to_owned());
            }
            self.done.lock().expect("unpoisoned").push(what);
            Ok(())
        }
        fn done(&self) -> Vec<String> {
            self.done.lock().expect("unpoisoned").clone()
        }
    }

    impl Clocks for Mock {
        fn lock(&mut self, device: u32, mhz: u32) -> Result<(), String> {
            self.note(format!("lock {device} {mhz}"))
        }
        fn reset(&mut self, device: u32) -> Result<(), String> {
            self.note(format!("reset {device}"))
        }
    }

    #[test]
    fn clocks_are_put_back_at_the_end_and_after_a_crash() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mock) = (folder.path(), Mock::default());
        let held = lock(path, Box::new(mock.clone()), 1, 1980).expect("locked");
        let error = lock(path, Box::new(mock.clone()), 1, 900).err().expect("taken");
        assert!(matches!(error, ClockError::Taken { mhz: 1980, .. }), "{error}");
        assert_eq!(leftover(path, &mut mock.clone()).expect("read"), None, "its owner lives");
        drop(held);
        assert_eq!(mock.done(), ["lock 1 1980", "reset 1"]);
        assert!(!State::path(path).exists());

        // A crash: the file stays, its owner does not.
        for owner in [(u32::MAX, None), (std::process::id(), Some(1))] {
            let state = State { device: 1, mhz: 1980, owner: owner.0, owner_started: owner.1 };
            state.write(path).expect("written");
            assert_eq!(leftover(path, &mut mock.clone()).expect("put back"), Some(1));
        }
        assert_eq!(mock.done()[2..], ["reset 1", "reset 1"]);
        assert_eq!(leftover(path, &mut mock.clone()).expect("nothing left"), None);
    }

    #[test]
    fn who_lacks_the_rights_is_told_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let mock = Mock { refuses: true, ..Mock::default() };
        let error = lock(folder.path(), Box::new(mock.clone()), 0, 1000).err().expect("refused");
        assert!(error.to_string().contains("root"), "{error}");
        assert!(!State::path(folder.path()).exists());
        // What cannot be put back is not forgotten.
        let state = State { device: 0, mhz: 1, owner: u32::MAX, owner_started: None };
        state.write(folder.path()).expect("written");
        assert!(leftover(folder.path(), &mut mock.clone()).is_err() && State::path(folder.path()).exists());
    }
}
