//! From errors to exit codes: the one place that decides.

use std::any::Any;
use std::path::Path;
use std::process::ExitCode;

use edgemaxx_files::is_full;

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
        self.map_err(|error| {
            let full = (&error as &dyn Any).downcast_ref().is_some_and(is_full);
            let exit = if full { Exit::Environment } else { Exit::Input };
            Failure::error(exit, format!("{}: {}", path.display(), error.to_string().trim_end()))
        })
    }
}

/// The exit code of an error: what it says itself; a full disk is the environment's fault, then what chain or hub say;
/// all else is bad input.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    let own = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|failure| failure.exit);
    let full = || error.chain().filter_map(|cause| cause.downcast_ref()).any(is_full);
    own.or_else(|| full().then_some(Exit::Environment))
        .or_else(|| crate::subtensor::exit_of(error))
        .unwrap_or(Exit::Input)
}

/// An error in words, with its causes; most of ours say their cause themselves.
pub(crate) fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}
