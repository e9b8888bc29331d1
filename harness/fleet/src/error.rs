//! What goes wrong between a coordinator and its workers.

use std::io;
use std::path::PathBuf;

use edgemaxx_contract::digest::Digest;

/// Results of this crate.
pub type Result<T, E = FleetError> = std::result::Result<T, E>;

/// An error of the fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A key file that holds no key.
    #[error("{}: {why}; make one by `edgemaxx fleet key FILE`", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An address that would carry everything in clear text.
    #[error("--server {0}: expected tls://HOST:PORT; without TLS a server is used on this machine alone")]
    Clear(String),
    /// The server cannot be reached, or does not let this key in.
    #[error("the server {server}: {why}")]
    Connect {
        /// Its address.
        server: String,
        /// What was said.
        why: String,
    },
    /// The server did not do what it was asked to.
    #[error("the server: {what}: {why}")]
    Server {
        /// What it was asked to do.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// Bytes that the server does not hold, or not all of them.
    #[error("the server holds no content {}", .0.short())]
    Absent(Digest),
    /// Bytes that are not what their name says.
    #[error("content {} is not what it is named by: found {}", .named.short(), .found.short())]
    Content {
        /// Its name.
        named: Digest,
        /// What it is.
        found: Digest,
    },
    /// Bytes that are more or fewer than they are said to be.
    #[error("content {} is not {bytes} bytes long, as it says", .named.short())]
    Length {
        /// Their name.
        named: Digest,
        /// How many there should be.
        bytes: u64,
    },
    /// Bytes that should be a text.
    #[error("content {} is no text", .0.short())]
    NoText(Digest),
    /// Another hands lanes out at this server.
    #[error("{0}")]
    Claimed(String),
    /// A message that is none, or that somebody else signed.
    #[error("{0}")]
    Message(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl FleetError {
    pub(crate) fn server(what: &'static str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |error| Self::Server { what, why: error.to_string() }
    }

    /// Whether it is the server's, or of the way to it, and may pass.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Server { .. } | Self::Absent(_) | Self::Claimed(_))
    }

    /// Whether it is the fault of whoever signed the content.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Content { .. } | Self::Length { .. } | Self::NoText(_))
    }

    /// An error of a file.
    pub fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
