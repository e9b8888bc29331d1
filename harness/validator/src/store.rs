//! The validator's memory: one SQLite file, written in transactions that survive a power cut.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::state::State;
use crate::world::Commitment;

/// One step of the schema after another; never changed, only added to.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE day (day TEXT PRIMARY KEY, state TEXT NOT NULL);
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, day TEXT NOT NULL,
        phase TEXT NOT NULL, what TEXT NOT NULL
    );
    CREATE TABLE first_seen (
        hotkey TEXT NOT NULL, source TEXT NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (hotkey, source)
    );
"];

/// Locked by whoever runs.
const LOCK_FILE: &str = "validator.lock";

/// A memory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another validator uses it.
    #[error("{}: another validator runs with this data; stop it first, or name other data with --data", path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error(
        "{}: damaged ({problem}); nothing published is lost: move it aside and start again, the last sealed day is read from its folder",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        problem: String,
    },
    /// Written by a later release.
    #[error("{}: written by a later release (schema {found}, this one knows {known}); use that one", path.display())]
    Later {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The disk is full.
    #[error("{}: the disk is full; make room and start again, nothing is lost", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The disk or the file says no.
    #[error("{}: {problem}", path.display())]
    Io {
        /// The database or its lock.
        path: PathBuf,
        /// In words.
        problem: String,
    },
}

/// How often a held lock is tried again.
const LOCK_TRIES: u32 = 20;
/// The pause before that.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The open memory; nobody else has it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    /// Locked as long as this lives.
    _lock: Option<File>,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Seconds since 1970-01-01 UTC.
    pub at: i64,
    /// The day.
    pub day: String,
    /// The phase after it.
    pub phase: String,
    /// In words.
    pub what: String,
}

impl Store {
    /// Opens `folder/validator.db`, made if there is none: locked, checked, brought up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock_path = folder.join(LOCK_FILE);
        let io =
            |error: std::io::Error| StoreError::Io { path: lock_path.clone(), problem: error.to_string() };
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock = File::create(&lock_path).map_err(io)?;
        // Who only asks whether it is held holds it for a moment too, and keeps nobody from starting.
        let mut tries = 0;
        let locked = loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                other => break other,
            }
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: lock_path }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let path = folder.join("validator.db");
        let connection = Connection::open(&path).map_err(|error| broken(&path, &error))?;
        Self::with(path, connection, Some(lock))
    }

    /// Whether a validator runs with the memory in `folder`, by its lock.
    pub fn is_in_use(folder: &Path) -> bool {
        let lock = File::open(folder.join(LOCK_FILE));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// A memory that lasts as long as the process.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| broken(&path, &error))?;
        Self::with(path, connection, None)
    }

    /// The memory of a running validator, to be looked at only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("validator.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| broken(&path, &error))?;
        Ok(Self { path, connection, _lock: None })
    }

    fn with(path: PathBuf, mut connection: Connection, lock: Option<File>) -> Result<Self, StoreError> {
        let fail = |error: rusqlite::Error| broken(&path, &error);
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        let checked: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(fail)?;
        if checked != "ok" {
            return Err(StoreError::Damaged { path, problem: checked });
        }
        let known = MIGRATIONS.len() as u32;
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
        if version > known {
            return Err(StoreError::Later { path, found: version, known });
        }
        let transaction = connection.transaction().map_err(fail)?;
        for migration in &MIGRATIONS[version as usize..] {
            transaction.execute_batch(migration).map_err(fail)?;
        }
        transaction.pragma_update(None, "user_version", known).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(Self { path, connection, _lock: lock })
    }

    fn fail(&self) -> impl Fn(rusqlite::Error) -> StoreError + use<'_> {
        |error| broken(&self.path, &error)
    }

    /// The latest day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn latest(&self) -> Result<Option<State>, StoreError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT state FROM day ORDER BY day DESC LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(self.fail())?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: self.path.clone(),
            problem: format!("the latest day cannot be read: {error}"),
        };
        text.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    /// Records a step as a whole or not at all; when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`]; the step is not recorded.
    pub fn record(&mut self, state: &State, at: i64, what: &str) -> Result<(), StoreError> {
        let text = serde_json::to_string(state)
            .map_err(|error| StoreError::Io { path: self.path.clone(), problem: error.to_string() })?;
        let day = state.day.to_string();
        let path = self.path.clone();
        let fail = |error: rusqlite::Error| broken(&path, &error);
        let transaction = self.connection.transaction().map_err(fail)?;
        let upsert = "INSERT INTO day VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET state = ?2";
        transaction.execute(upsert, params![day, text]).map_err(fail)?;
        transaction
            .execute(
                "INSERT INTO journal (at, day, phase, what) VALUES (?1, ?2, ?3, ?4)",
                params![at, day, state.phase.name(), what],
            )
            .map_err(fail)?;
        transaction.commit().map_err(fail)
    }

    /// The block in which a hotkey was first seen to commit to a source.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn first_seen(&self, commitment: &Commitment) -> Result<Option<u64>, StoreError> {
        let query = "SELECT block FROM first_seen WHERE hotkey = ?1 AND source = ?2";
        let key = params![commitment.hotkey, commitment.source];
        let row = self.connection.query_row(query, key, |row| row.get::<_, i64>(0));
        Ok(row.optional().map_err(self.fail())?.map(i64::cast_unsigned))
    }

    /// Remembers commitments; the earliest block of each stays.
    ///
    /// # Errors
    /// [`StoreError`]; none is remembered.
    pub fn remember(&mut self, commitments: &[Commitment]) -> Result<(), StoreError> {
        let path = self.path.clone();
        let fail = |error: rusqlite::Error| broken(&path, &error);
        let transaction = self.connection.transaction().map_err(fail)?;
        for commitment in commitments {
            let upsert = "INSERT INTO first_seen VALUES (?1, ?2, ?3)
                          ON CONFLICT (hotkey, source) DO UPDATE SET block = min(block, ?3)";
            transaction
                .execute(
                    upsert,
                    params![commitment.hotkey, commitment.source, commitment.block.cast_signed()],
                )
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)
    }

    /// The last `n` lines of the journal, the latest last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn journal(&self, n: u32) -> Result<Vec<Entry>, StoreError> {
        let query = "SELECT at, day, phase, what FROM journal ORDER BY seq DESC LIMIT ?1";
        let mut statement = self.connection.prepare(query).map_err(self.fail())?;
        let rows = statement
            .query_map([n], |row| {
                Ok(Entry { at: row.get(0)?, day: row.get(1)?, phase: row.get(2)?, what: row.get(3)? })
            })
            .map_err(self.fail())?;
        let mut entries = rows.collect::<Result<Vec<_>, _>>().map_err(self.fail())?;
        entries.reverse();
        Ok(entries)
    }

    /// Limits the database to `pages` more pages than it has: a full disk, for tests.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let have: u32 =
            self.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(self.fail())?;
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {}", have + pages), [], |_| Ok(()))
            .map_err(self.fail())
    }
}

/// What an error of SQLite means for who runs a validator.
fn broken(path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full { path },
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged { path, problem: error.to_string() },
        _ => StoreError::Io { path, problem: error.to_string() },
    }
}
