//! Locking a card's clocks, and putting them back: at the end, or, after a crash, the next time that anybody looks.
//! What is changed stands in a file of the card before it is changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::Card;
use edgemaxx_files::write_whole;
use serde::{Deserialize, Serialize};

use crate::cpu::stat;
use crate::vendor::Clocks;
use crate::vendors::vendor;

/// Names of the files that say what was changed begin so.
const STATE_FILES: &str = "locked-clocks-";

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
    /// Nothing changes the clocks of such cards.
    #[error("{0}: nothing changes the clocks of such a card")]
    Unchangeable(String),
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What changes the clocks of a kind of device; replaced in tests.
type Drivers<'a> = &'a dyn Fn(DeviceKind) -> Option<Box<dyn Clocks>>;

/// Those of this machine.
fn own(kind: DeviceKind) -> Option<Box<dyn Clocks>> {
    vendor(kind).clocks()
}

fn driver(drivers: Drivers<'_>, card: &Card) -> Result<Box<dyn Clocks>, ClockError> {
    drivers(card.kind).ok_or_else(|| ClockError::Unchangeable(card.name.clone()))
}

/// What was changed, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    card: Card,
    mhz: u32,
    /// The process for whose sake.
    owner: u32,
    /// When it started, in the kernel's ticks: numbers of processes are used again.
    owner_started: Option<u64>,
}

impl State {
    fn path(folder: &Path, card: &Card) -> PathBuf {
        folder.join(format!("{STATE_FILES}{}.json", card.index))
    }

    /// Of every card that was changed, by file name.
    fn all(folder: &Path) -> Result<Vec<Self>, ClockError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ClockError::State { path, source }
        };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(failed(folder))?,
        };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(STATE_FILES))
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).map_err(failed(path))?;
            serde_json::from_str(&text).map_err(io::Error::other).map_err(failed(path))
        };
        paths.iter().map(read).collect()
    }

    fn write(&self, folder: &Path) -> Result<(), ClockError> {
        let path = Self::path(folder, &self.card);
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

    /// Puts the card's clocks back.
    fn undo(&self, folder: &Path, clocks: &mut dyn Clocks) -> Result<(), ClockError> {
        let device = self.card.index;
        clocks.reset(&self.card).map_err(|reason| ClockError::Driver { device, action: "reset", reason })?;
        let path = Self::path(folder, &self.card);
        fs::remove_file(&path).map_err(|source| ClockError::State { path, source })
    }
}

/// When a process started, in ticks since the machine did; `None`: there is no such process.
fn started(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.starttime)
}

/// A card whose clocks are locked until this is dropped.
pub struct Lock {
    folder: PathBuf,
    state: State,
    clocks: Box<dyn Clocks>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.state.undo(&self.folder, self.clocks.as_mut());
    }
}

/// Locks a card's clocks for this process; `folder` keeps what must be put back.
///
/// # Errors
/// [`ClockError`]; nothing is locked then.
pub fn lock(folder: &Path, card: &Card, mhz: u32) -> Result<Lock, ClockError> {
    lock_by(&own, folder, card, mhz)
}

fn lock_by(drivers: Drivers<'_>, folder: &Path, card: &Card, mhz: u32) -> Result<Lock, ClockError> {
    leftover_by(drivers, folder)?;
    let device = card.index;
    if let Some(State { mhz, owner, .. }) =
        State::all(folder)?.into_iter().find(|held| held.card.index == device)
    {
        return Err(ClockError::Taken { device, mhz, owner });
    }
    let mut clocks = driver(drivers, card)?;
    let owner = std::process::id();
    let state = State { card: card.clone(), mhz, owner, owner_started: started(owner) };
    state.write(folder)?;
    if let Err(reason) = clocks.lock(card, mhz) {
        let _ = fs::remove_file(State::path(folder, card));
        return Err(ClockError::Driver { device, action: "lock", reason });
    }
    Ok(Lock { folder: folder.to_owned(), state, clocks })
}

/// Puts back what runs that crashed have left; the cards they were.
///
/// # Errors
/// [`ClockError`]; clocks are still locked then.
pub fn leftover(folder: &Path) -> Result<Vec<Card>, ClockError> {
    leftover_by(&own, folder)
}

fn leftover_by(drivers: Drivers<'_>, folder: &Path) -> Result<Vec<Card>, ClockError> {
    undo(drivers, folder, |state| !state.owner_lives())
}

/// Puts all clocks back, whoever locked them; the cards they were.
///
/// # Errors
/// [`ClockError`]; clocks are still locked then.
pub fn restore(folder: &Path) -> Result<Vec<Card>, ClockError> {
    undo(&own, folder, |_| true)
}

fn undo(drivers: Drivers<'_>, folder: &Path, which: fn(&State) -> bool) -> Result<Vec<Card>, ClockError> {
    let states = State::all(folder)?.into_iter().filter(which);
    states
        .map(|state| {
            state.undo(folder, driver(drivers, &state.card)?.as_mut())?;
            Ok(state.card)
        })
        .collect()
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
        fn drivers(&self) -> impl Fn(DeviceKind) -> Option<Box<dyn Clocks>> {
            let mock = self.clone();
            move |_| Some(Box::new(mock.clone()))
        }
    }

    impl Clocks for Mock {
        fn lock(&mut self, card: &Card, mhz: u32) -> Result<(), String> {
            self.note(format!("lock {} {mhz}", card.index))
        }
        fn reset(&mut self, card: &Card) -> Result<(), String> {
            self.note(format!("reset {}", card.index))
        }
    }

    fn card(index: u32) -> Card {
        Card {
            kind: DeviceKind::Cuda,
            index,
            name: "a card".to_owned(),
            uuid: None,
            driver: None,
            node: None,
        }
    }

    #[test]
    fn clocks_are_put_back_at_the_end_and_after_a_crash() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mock) = (folder.path(), Mock::default());
        let drivers = mock.drivers();
        let held = lock_by(&drivers, path, &card(1), 1980).expect("locked");
        let error = lock_by(&drivers, path, &card(1), 900).err().expect("taken");
        assert!(matches!(error, ClockError::Taken { mhz: 1980, .. }), "{error}");
        assert_eq!(leftover_by(&drivers, path).expect("read"), [], "its owner lives");
        let other = lock_by(&drivers, path, &card(0), 900).expect("another card is another matter");
        drop(held);
        drop(other);
        assert_eq!(mock.done(), ["lock 1 1980", "lock 0 900", "reset 1", "reset 0"]);
        assert_eq!(State::all(path).expect("read"), []);

        // A crash: the file stays, its owner does not.
        for owner in [(u32::MAX, None), (std::process::id(), Some(1))] {
            let state = State { card: card(1), mhz: 1980, owner: owner.0, owner_started: owner.1 };
            state.write(path).expect("written");
            assert_eq!(leftover_by(&drivers, path).expect("put back"), [card(1)]);
        }
        assert_eq!(mock.done()[4..], ["reset 1", "reset 1"]);
        assert_eq!(leftover_by(&drivers, path).expect("nothing left"), []);
    }

    #[test]
    fn who_lacks_the_rights_is_told_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let mock = Mock { refuses: true, ..Mock::default() };
        let error = lock_by(&mock.drivers(), folder.path(), &card(0), 1000).err().expect("refused");
        assert!(error.to_string().contains("root"), "{error}");
        assert_eq!(State::all(folder.path()).expect("read"), []);
        // What cannot be put back is not forgotten.
        let state = State { card: card(0), mhz: 1, owner: u32::MAX, owner_started: None };
        state.write(folder.path()).expect("written");
        assert!(leftover_by(&mock.drivers(), folder.path()).is_err());
        assert_eq!(State::all(folder.path()).expect("read"), [state]);
    }

    #[test]
    fn a_device_without_clocks_is_not_locked() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = Card { kind: DeviceKind::Metal, ..card(0) };
        let error = lock(folder.path(), &none, 1000).err().expect("refused");
        assert!(matches!(error, ClockError::Unchangeable(_)), "{error}");
    }
}
