//! What can be wrong with a file of measurements.

use std::path::PathBuf;

use edgemaxx_contract::format::DocumentError;
use edgemaxx_contract::sample::LogError;

/// A file of measurements that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A name that says nothing about the content.
    #[error(
        "{path}: expected a file called *.csv, *.jsonl (samples of a run) or *.json (hyperfine's export)"
    )]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Cannot be opened or read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The first line of a CSV file is wrong.
    #[error("{path}:1: expected the header session,request,pipeline,latency_ms[,throttled], but {problem}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// One value is wrong.
    #[error("{path}:{line}: column {column}: expected {expected}, found {found}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1; the header is line 1.
        line: usize,
        /// The column's name.
        column: &'static str,
        /// What would be accepted.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// A line has another shape.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A measurement is there twice.
    #[error(
        "{path}:{line}: the same session, request and pipeline ({pipeline}) as in line {first}; \
         give repetitions of a request different names"
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// Line of the second.
        line: usize,
        /// Line of the first.
        first: usize,
        /// The pipeline.
        pipeline: String,
    },
    /// No such baseline.
    #[error("{path}: no pipeline is called {name:?}; expected one of: {known}")]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// The pipelines of the file.
        known: String,
    },
    /// Nothing to compare.
    #[error("{path}: {problem}")]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// JSON that is not what it should be.
    #[error("{path}: expected {expected}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Line and column.
        source: serde_json::Error,
    },
    /// A plan that cannot be read.
    #[error("{path}: {source}")]
    Plan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// A log that cannot be trusted.
    #[error("{path}: {source}")]
    Log {
        /// The file.
        path: PathBuf,
        /// Which line and why.
        source: LogError,
    },
}
