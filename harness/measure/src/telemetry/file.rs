//! `telemetry.jsonl` as it is written: appended to, without waiting for the disk.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

pub use edgemaxx_contract::run_files::TELEMETRY_FILE;
use edgemaxx_contract::telemetry::{TelemetryHeader, TelemetryLog, TelemetryRecord};
use edgemaxx_contract::torn_line::whole_lines;

use crate::error::MeasureError;

/// The file, open to be appended to.
#[derive(Debug)]
pub(super) struct TelemetryFile {
    path: PathBuf,
    file: File,
}

impl TelemetryFile {
    /// Opens the file of a run folder: begun with `header`, or cut to its whole lines and gone on
    /// with.
    ///
    /// # Errors
    /// [`MeasureError::Telemetry`] if it is of another plan or no telemetry; [`MeasureError::Io`].
    pub(super) fn open(folder: &Path, header: &TelemetryHeader) -> Result<Self, MeasureError> {
        let path = folder.join(TELEMETRY_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(MeasureError::io(&path, "open the telemetry"))?;
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(MeasureError::io(&path, "read the telemetry"))?;
        let whole = whole_lines(&bytes);
        file.set_len(whole as u64).map_err(MeasureError::io(&path, "cut the torn last line off"))?;
        let mut this = Self { path, file };
        if whole == 0 {
            this.append([TelemetryRecord::Header(header.clone())])?;
        } else {
            TelemetryLog::parse(&String::from_utf8_lossy(&bytes[..whole]), header.plan)
                .map_err(|source| MeasureError::Telemetry { path: this.path.clone(), source })?;
        }
        Ok(this)
    }

    /// Appends records, all or (in a crash) some of them.
    pub(super) fn append(
        &mut self,
        records: impl IntoIterator<Item = TelemetryRecord>,
    ) -> Result<(), MeasureError> {
        let mut lines = String::new();
        for record in records {
            lines.push_str(&record.to_line());
        }
        self.file.write_all(lines.as_bytes()).map_err(MeasureError::io(&self.path, "append telemetry"))
    }
}
