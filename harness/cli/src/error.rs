//! From errors to exit codes: the one place that decides.

use std::path::Path;
use std::process::ExitCode;

use edgemaxx_run::error::{Class, class_of};

/// Exit codes, as documented in `--help` and the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is no.
    No = 1,
    /// Usage or bad input.
    Input = 2,
    /// The environment is unfit, or no time was left.
    Environment = 3,
    /// An engine or candidate failed.
    Engine = 4,
    /// Chain or hub failed.
    Chain = 5,
    /// What must be checked could not be: neither yes nor no.
    Unchecked = 6,
    /// Interrupted, resumable.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn error(exit: Exit, message: impl Into<String>) -> anyhow::Error {
        Self { exit, message: message.into() }.into()
    }

    /// Bad input: exit code 2.
    pub(crate) fn input(message: impl Into<String>) -> anyhow::Error {
        Self::error(Exit::Input, message)
    }
}

/// Names the file an error is about, and makes it bad input (exit code 2).
pub(crate) trait InFile<T> {
    fn in_file(self, path: &Path) -> anyhow::Result<T>;
}

impl<T, E: std::fmt::Display + 'static> InFile<T> for Result<T, E> {
    fn in_file(self, path: &Path) -> anyhow::Result<T> {
        Ok(edgemaxx_run::error::InFile::in_file(self, path)?)
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::No => Self::No,
            Class::Input => Self::Input,
            Class::Environment => Self::Environment,
            Class::Engine => Self::Engine,
            Class::Chain => Self::Chain,
            Class::Unchecked => Self::Unchecked,
            Class::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for Class {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::No => Self::No,
            Exit::Input => Self::Input,
            Exit::Environment => Self::Environment,
            Exit::Engine => Self::Engine,
            Exit::Chain => Self::Chain,
            Exit::Unchecked => Self::Unchecked,
            Exit::Interrupted => Self::Interrupted,
        }
    }
}

/// The exit code of an error: what it says itself, then what its class is; all else is bad input.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|failure| failure.exit);
    own.or_else(|| class_of(error.as_ref()).map(Exit::from)).unwrap_or(Exit::Input)
}

/// An error in words, with its causes.
pub(crate) fn words(error: &anyhow::Error) -> String {
    edgemaxx_run::error::words(error.as_ref())
}
