//! Checkpoints: where they come from, which files they consist of, and what exactly those files are.
//!
//! A source is resolved to a folder, a revision and a digest per file before anything is measured. [`resolve_offline`]
//! needs no network. With the feature `net`, `Hub` fetches and publishes, and `Site` fetches published days, which are
//! plain files.

#![forbid(unsafe_code)]

#[cfg(feature = "net")]
mod branch;
mod cache;
#[cfg(feature = "net")]
mod download;
mod error;
#[cfg(feature = "net")]
mod fetched;
mod folder;
mod git;
#[cfg(feature = "net")]
mod http;
#[cfg(feature = "net")]
mod huggingface;
mod offline;
#[cfg(feature = "net")]
mod remote;
mod rules;
#[cfg(feature = "net")]
mod site;
mod source;
#[cfg(feature = "net")]
mod upload;

pub use cache::Cache;
pub use error::HubError;
pub use folder::{CheckpointFile, Resolved, resolve_folder};
#[cfg(feature = "net")]
pub use http::Patience;
#[cfg(feature = "net")]
pub use huggingface::{Hub, Step};
pub use offline::resolve_offline;
pub use rules::{Kind, Rules, kind};
#[cfg(feature = "net")]
pub use site::{Fetched, Site};
pub use source::Source;
#[cfg(feature = "net")]
pub use upload::{FilesUpload, Published, Upload};
