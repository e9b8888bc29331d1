//! Checkpoints: where they come from, which files they consist of, and what exactly those files are.
//!
//! A source is resolved to a folder, a revision and a digest per file before anything is measured. [`Hub`] fetches
//! and publishes; [`resolve_offline`] needs no network. [`Site`] fetches published days, which are plain files.

#![forbid(unsafe_code)]

mod branch;
mod cache;
mod download;
mod error;
mod folder;
mod git;
mod http;
mod remote;
mod rules;
mod site;
mod source;
mod upload;

use std::path::PathBuf;

pub use cache::Cache;
pub use error::HubError;
pub use folder::{CheckpointFile, Resolved, resolve_folder};
pub use http::Patience;
pub use rules::{Kind, Rules, kind};
pub use site::{Fetched, Site};
pub use source::Source;
pub use upload::{FilesUpload, Published, Upload};

/// The hub that is asked where none is named.
const ENDPOINT: &str = "https://huggingface.co";

/// What a transfer is doing, for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// It begins: "download" or "upload" of so many bytes.
    Begin {
        /// Which.
        what: &'static str,
        /// All bytes, those there already included.
        bytes: u64,
    },
    /// This file is next.
    File(&'a str),
    /// So many bytes more are there.
    Bytes(u64),
}

/// A connection to the hub, and the cache on this machine.
#[derive(Debug)]
pub struct Hub {
    cache: Cache,
    http: Option<http::Http>,
}

impl Hub {
    /// As Hugging Face's own tools are set up: `HF_ENDPOINT`, `HF_TOKEN` (else the file that `hf auth login`
    /// writes) unless `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// When the endpoint is no address.
    pub fn from_env(get: impl Fn(&str) -> Option<String>, patience: Patience) -> Result<Self, HubError> {
        let cache = Cache::from_env(&get);
        let offline =
            get("HF_HUB_OFFLINE").is_some_and(|v| !matches!(v.trim(), "" | "0" | "false" | "FALSE"));
        if offline {
            return Ok(Self { cache, http: None });
        }
        let set = |name: &str| get(name).filter(|v| !v.is_empty());
        let home = set("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache/huggingface")));
        let file = || {
            let path = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home?.join("token")))?;
            std::fs::read_to_string(path).ok()
        };
        // As Hugging Face's own tools: no token is sent that was not named for this very request, and none can be here.
        let implicit = !set("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|value| {
            matches!(value.trim().to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
        });
        let token = set("HF_TOKEN").or_else(file).filter(|_| implicit);
        let token = token.and_then(|text| http::Token::new(&text));
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        Ok(Self { cache, http: Some(http::Http::new(&endpoint, token, patience)?) })
    }

    /// Resolve a source, fetching what is missing. What a limit or a rule forbids is refused before it is fetched.
    ///
    /// # Errors
    /// When it is not there, breaks a rule, or is not what was promised.
    pub fn resolve(
        &self,
        source: &Source,
        rules: &Rules,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Resolved, HubError> {
        match (source, &self.http) {
            (Source::Hub { repository, revision }, Some(http)) => {
                download::fetch(http, &self.cache, repository, revision.as_deref(), rules, watch)
            }
            _ => resolve_offline(source, &self.cache, rules),
        }
    }

    /// Make the repository's main branch hold exactly the folder's checkpoint. Repeating it is cheap and safe.
    ///
    /// # Errors
    /// When the folder breaks a rule, the hub says no, or another commit came in between.
    pub fn publish(
        &self,
        upload: &Upload<'_>,
        rules: &Rules,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Published, HubError> {
        upload::publish(self.http.as_ref().ok_or(HubError::Offline)?, upload, rules, watch)
    }

    /// Make a folder of a dataset repository hold exactly these files. Repeating it is cheap and safe.
    ///
    /// # Errors
    /// When the hub says no, or another commit came in between.
    pub fn publish_files(
        &self,
        upload: &FilesUpload<'_>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Published, HubError> {
        upload::publish_files(self.http.as_ref().ok_or(HubError::Offline)?, upload, watch)
    }
}

/// Resolve a source without any network: a folder as it is, a git mirror on this machine, a hub repository from
/// the local cache.
///
/// # Errors
/// When it is not there, breaks a rule, or could change its meaning later.
pub fn resolve_offline(source: &Source, cache: &Cache, rules: &Rules) -> Result<Resolved, HubError> {
    match source {
        Source::Path(path) => resolve_folder(path, path, None, rules),
        Source::Git { mirror, revision } => {
            let (commit, folder) = git::checkout(cache, mirror, revision.as_deref())?;
            resolve_folder(&folder, &folder, Some(commit), rules)
        }
        Source::Hub { repository, revision } => {
            let (commit, snapshot) = cache.snapshot(repository, revision.as_deref())?;
            resolve_folder(&snapshot, &cache.repository(repository), Some(commit), rules)
        }
    }
}
