//! What goes wrong with a run, and of which class it is: the class decides the exit code.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::Path;

#[cfg(feature = "chain")]
use edgemaxx_chain::ChainError;
use edgemaxx_contract::format::DocumentError;
use edgemaxx_contract::input::InputError;
use edgemaxx_files::is_full;
use edgemaxx_hub::HubError;
use edgemaxx_seal::WalletError;
use serde::{Deserialize, Serialize};

/// Results of this crate.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// What kind of trouble it is; whoever has exit codes has one for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The answer is no.
    No,
    /// Usage or bad input.
    Input,
    /// The environment is unfit, its disk full, or no time was left.
    Environment,
    /// An engine or candidate failed.
    Engine,
    /// Chain or hub failed.
    Chain,
    /// What must be checked could not be: neither yes nor no.
    Unchecked,
    /// Interrupted, resumable.
    Interrupted,
}

/// An error of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Said in words by whoever found it.
    #[error("{message}")]
    Said {
        /// Its class.
        class: Class,
        /// Names the file, line or field, what was expected, and the next step.
        message: String,
    },
    /// Another error, and what it is about.
    #[error("{place}")]
    Within {
        /// A file, a candidate.
        place: String,
        /// The error, one of these; boxed so that it is found among the causes as itself.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The disk said no.
    #[error("{what}")]
    Disk {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The chain said no, or nothing.
    #[cfg(feature = "chain")]
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Another host, or what is between.
    #[cfg(feature = "fleet")]
    #[error(transparent)]
    Fleet(#[from] edgemaxx_fleet::FleetError),
    /// The hub or a site did.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A document cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A value that its task does not take.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A seal does not hold.
    #[error(transparent)]
    Seal(#[from] edgemaxx_seal::manifest::SealError),
    /// A day that the calendar does not have.
    #[error(transparent)]
    Calendar(#[from] edgemaxx_validator::calendar::CalendarError),
    /// A file or folder cannot be read.
    #[error(transparent)]
    File(#[from] edgemaxx_files::FileError),
    /// A folder that is no checkpoint.
    #[error(transparent)]
    Folder(#[from] edgemaxx_files::WalkError),
    /// A table cannot be written.
    #[error(transparent)]
    Table(#[from] edgemaxx_report::tables::TableError),
    /// A report cannot be written.
    #[error(transparent)]
    Report(#[from] edgemaxx_report::ReportError),
}

impl RunError {
    /// An error of this class, in words.
    pub fn of(class: Class, message: impl Into<String>) -> Self {
        Self::Said { class, message: message.into() }
    }

    /// Bad input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::of(Class::Input, message)
    }

    /// Its class.
    pub fn class(&self) -> Class {
        class_of(self).unwrap_or(Class::Input)
    }

    /// Whether the hub says that something is not there, or not for us.
    pub fn is_gone(&self) -> bool {
        let causes = std::iter::successors(Some(self as &(dyn Error + 'static)), |error| (**error).source());
        causes.into_iter().any(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(Self::Hub(error)), _) | (_, Some(error)) => HubError::is_gone(error),
            _ => false,
        })
    }

    /// The error in words, with its causes.
    pub fn words(&self) -> String {
        words(self)
    }
}

/// The class of an error, as far as this crate knows it: what it says itself; a full disk is the environment's fault;
/// then what chain, wallet or hub say. `None` for any other; that is bad input.
pub fn class_of(error: &(dyn Error + 'static)) -> Option<Class> {
    let causes = || std::iter::successors(Some(error), |error| (**error).source());
    let own = causes().find_map(|cause| match cause.downcast_ref::<RunError>() {
        Some(RunError::Said { class, .. }) => Some(*class),
        _ => None,
    });
    let full = || causes().filter_map(|cause| cause.downcast_ref()).any(is_full);
    own.or_else(|| full().then_some(Class::Environment)).or_else(|| causes().find_map(of_outside))
}

/// The class of an error of chain, wallet or hub.
fn of_outside(cause: &(dyn Error + 'static)) -> Option<Class> {
    let hub = |error: &HubError| if error.is_remote() { Class::Chain } else { Class::Input };
    // An error of ours that is but another's has that one's causes, and not that one itself, among its own.
    if let Some(RunError::Hub(error)) = cause.downcast_ref() {
        return Some(hub(error));
    }
    of_chain(cause)
        .or_else(|| of_fleet(cause))
        .or_else(|| cause.downcast_ref().map(hub))
        .or_else(|| cause.downcast_ref::<WalletError>().map(|_| Class::Input))
}

/// The class of an error of the chain.
#[cfg(feature = "chain")]
fn of_chain(cause: &(dyn Error + 'static)) -> Option<Class> {
    let error = match cause.downcast_ref() {
        Some(RunError::Chain(error)) => error,
        _ => cause.downcast_ref::<ChainError>()?,
    };
    let ours = matches!(
        error,
        ChainError::Network(_)
            | ChainError::Weights(_)
            | ChainError::Commitment(_)
            | ChainError::Journal { .. }
    );
    Some(if ours { Class::Input } else { Class::Chain })
}

/// The class of an error between hosts.
#[cfg(feature = "fleet")]
fn of_fleet(cause: &(dyn Error + 'static)) -> Option<Class> {
    let error = match cause.downcast_ref() {
        Some(RunError::Fleet(error)) => error,
        _ => cause.downcast_ref::<edgemaxx_fleet::FleetError>()?,
    };
    Some(if error.is_remote() { Class::Environment } else { Class::Input })
}

#[cfg(not(feature = "fleet"))]
fn of_fleet(_: &(dyn Error + 'static)) -> Option<Class> {
    None
}

#[cfg(not(feature = "chain"))]
fn of_chain(_: &(dyn Error + 'static)) -> Option<Class> {
    None
}

/// An error in words, with its causes; most of ours say their cause themselves.
pub fn words(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (**error).source()).map(ToString::to_string).fold(
        String::new(),
        |said, cause| match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        },
    )
}

/// Names the file an error is about, and makes it bad input; a full disk is the environment's fault.
pub trait InFile<T> {
    /// The error with the file's name.
    ///
    /// # Errors
    /// As before.
    fn in_file(self, path: &Path) -> Result<T>;
}

impl<T, E: Display + 'static> InFile<T> for std::result::Result<T, E> {
    fn in_file(self, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let full = (&error as &dyn std::any::Any).downcast_ref().is_some_and(is_full);
            let class = if full { Class::Environment } else { Class::Input };
            RunError::of(class, format!("{}: {}", path.display(), error.to_string().trim_end()))
        })
    }
}

/// Names what an error is about.
pub(crate) trait Within<T> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<RunError>> Within<T> for std::result::Result<T, E> {
    fn within(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| RunError::Within { place: place(), source: Box::new(error.into()) })
    }
}

/// A folder that goes when it is dropped.
pub(crate) fn scratch() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|source| RunError::Disk { what: "a temporary folder".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_that_of_the_innermost_who_knows() {
        let engine = RunError::of(Class::Engine, "it failed");
        let within: Result<()> = Err(engine).within(|| "candidate \"a\"".to_owned());
        let within = within.unwrap_err();
        assert_eq!(within.class(), Class::Engine);
        assert_eq!(within.words(), "candidate \"a\": it failed");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let disk = RunError::Disk { what: "cannot write a".to_owned(), source: full() };
        assert_eq!(disk.class(), Class::Environment);
        let file: Result<()> = Err(full()).in_file(Path::new("a"));
        assert_eq!(file.unwrap_err().class(), Class::Environment);
        #[cfg(feature = "chain")]
        assert_eq!(RunError::from(ChainError::Network("x".to_owned())).class(), Class::Input);
    }
}
