//! The run folder as `measure` writes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::ARTEFACTS_FOLDER;
pub use edgemaxx_contract::run_files::SAMPLES_FILE;
use edgemaxx_files::write_whole;

use crate::error::MeasureError;

/// Where records and answers go; replaced in tests by one that fails.
pub trait Disk {
    /// The whole log as it stands, a torn last line included; empty for a new run.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    fn read_log(&mut self) -> Result<String, MeasureError>;

    /// Cuts the log to its first `bytes`.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    fn cut_log(&mut self, bytes: usize) -> Result<(), MeasureError>;

    /// Appends a line; when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`MeasureError::Io`]; part of the line may have been written.
    fn append(&mut self, line: &str) -> Result<(), MeasureError>;

    /// Whether there is a file of this name.
    fn has(&self, name: &str) -> bool;

    /// Writes a file; when this returns, it is on the disk, whole.
    ///
    /// # Errors
    /// [`MeasureError::Io`]; no part of it is left.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), MeasureError>;

    /// The content of a file that was put.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    fn get(&self, name: &str) -> Result<Vec<u8>, MeasureError>;

    /// The log's path, for messages.
    fn log_path(&self) -> &Path;
}

/// A run folder, locked for this process as long as this lives.
#[derive(Debug)]
pub struct FolderDisk {
    folder: PathBuf,
    /// Where answers are kept: here, or in a folder that several lanes share.
    kept: PathBuf,
    path: PathBuf,
    log: File,
}

impl FolderDisk {
    /// Opens the folder, which must exist, and locks its log.
    ///
    /// # Errors
    /// [`MeasureError::Locked`] if another process measures in it; [`MeasureError::Io`].
    pub fn open(folder: &Path) -> Result<Self, MeasureError> {
        Self::open_lane(folder, folder)
    }

    /// The same of a lane's folder, whose answers are kept in that of the run, `kept`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_lane(folder: &Path, kept: &Path) -> Result<Self, MeasureError> {
        let path = folder.join(SAMPLES_FILE);
        let artefacts = kept.join(ARTEFACTS_FOLDER);
        fs::create_dir_all(&artefacts).map_err(MeasureError::io(&artefacts, "make the folder"))?;
        let mut options = OpenOptions::new();
        let log = options
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(MeasureError::io(&path, "open the log"))?;
        match log.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(MeasureError::Locked { path }),
            Err(TryLockError::Error(source)) => {
                return Err(MeasureError::Io { path, action: "lock the log", source });
            }
        }
        sync_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), kept: kept.to_owned(), path, log })
    }
}

/// Makes new names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), MeasureError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(MeasureError::io(folder, "sync the folder"))
}

impl Disk for FolderDisk {
    fn read_log(&mut self) -> Result<String, MeasureError> {
        let mut bytes = Vec::new();
        self.log
            .rewind()
            .and_then(|()| self.log.read_to_end(&mut bytes))
            .map_err(MeasureError::io(&self.path, "read the log"))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) => {
                // A torn last line may end within a letter; anything earlier fails its chain.
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                if bytes[valid..].contains(&b'\n') {
                    let source = io::Error::new(io::ErrorKind::InvalidData, "the log is not UTF-8");
                    return Err(MeasureError::Io { path: self.path.clone(), action: "read the log", source });
                }
                Ok(String::from_utf8_lossy(&bytes[..valid]).into_owned())
            }
        }
    }

    fn cut_log(&mut self, bytes: usize) -> Result<(), MeasureError> {
        self.log
            .set_len(bytes as u64)
            .and_then(|()| self.log.sync_all())
            .map_err(MeasureError::io(&self.path, "cut the torn last line off"))
    }

    fn append(&mut self, line: &str) -> Result<(), MeasureError> {
        self.log
            .write_all(line.as_bytes())
            .and_then(|()| self.log.sync_data())
            .map_err(MeasureError::io(&self.path, "append a record"))
    }

    fn has(&self, name: &str) -> bool {
        self.kept.join(name).exists()
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), MeasureError> {
        let path = self.kept.join(name);
        let parent = path.parent().unwrap_or(&self.kept);
        // Written in this lane's own folder and then moved: another lane may be writing the same answer.
        let own = self.folder.join(path.file_name().unwrap_or_default());
        let shared = self.folder != self.kept;
        let target = if shared { &own } else { &path };
        write_whole(target, bytes).map_err(MeasureError::io(target, "write the answer"))?;
        if shared {
            fs::rename(&own, &path).map_err(MeasureError::io(&path, "move the answer there"))?;
        }
        sync_folder(parent)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, MeasureError> {
        let path = self.kept.join(name);
        fs::read(&path).map_err(MeasureError::io(&path, "read the answer"))
    }

    fn log_path(&self) -> &Path {
        &self.path
    }
}
