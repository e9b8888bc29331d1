//! What ends a measurement before its plan.

use std::io;
use std::path::{Path, PathBuf};

use edgemaxx_contract::input::InputError;
use edgemaxx_contract::sample::{Failure, LogError};
use edgemaxx_contract::telemetry::TelemetryError;

/// A measurement that ended early. Everything recorded is kept, and all but [`Self::Plan`],
/// [`Self::Task`], [`Self::Log`] and [`Self::Telemetry`] can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}; nothing recorded is lost, mend it and go on with --resume", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another process measures in the folder.
    #[error("{}: another process is measuring in this folder; wait for it, or end it", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
    },
    /// The log cannot be continued.
    #[error("{}: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        source: LogError,
    },
    /// The telemetry cannot be gone on with.
    #[error("{}: {source}", path.display())]
    Telemetry {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TelemetryError,
    },
    /// The plan contradicts itself.
    #[error("plan.json: {0}")]
    Plan(String),
    /// The plan asks what its task cannot.
    #[error("plan.json: {0}")]
    Task(#[from] InputError),
    /// The baseline failed twice in one session.
    #[error("the baseline {} in session {session}, twice: {}", failure.kind, failure.detail)]
    Baseline {
        /// [`edgemaxx_contract::plan::PlannedSession::index`].
        session: u32,
        /// The second failure.
        failure: Failure,
    },
    /// The harness itself could not open what a launch takes: no engine's failure.
    #[error(
        "no engine can be started: {source}; raise the limit of open files (`ulimit -n`), and go on with --resume"
    )]
    Descriptors {
        /// What the system says.
        source: io::Error,
    },
    /// The interrupt flag was set.
    #[error("interrupted; go on with --resume")]
    Interrupted,
}

impl MeasureError {
    /// For `map_err`: an I/O error at `path`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
