//! Where a run's contest lies on this machine.

use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::ORIGIN_FILE;
use serde::{Deserialize, Serialize};

use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;

/// Where a run's contest lies on this machine; not part of what is published.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Folder that the contest's paths are relative to.
    pub base: PathBuf,
}

impl Origin {
    /// Where the run of `folder` was planned.
    ///
    /// # Errors
    /// The folder does not say.
    pub fn of(folder: &RunFolder) -> Result<Self> {
        serde_json::from_str(&folder.read(ORIGIN_FILE)?).in_file(&folder.file(ORIGIN_FILE))
    }

    /// The base folder of a run: as named, or where it was planned, if that was here.
    ///
    /// # Errors
    /// Nobody says.
    pub fn base(named: Option<&Path>, run: &Path) -> Result<PathBuf> {
        match named {
            Some(base) => std::path::absolute(base).in_file(base),
            None => Ok(Self::of(&RunFolder::open(run)?)
                .map_err(|_| {
                    RunError::input("name the folder that the contest's paths are relative to with --base")
                })?
                .base),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// The folder's name is not UTF-8.
    pub fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        Ok(text.map_err(|error| RunError::input(format!("{}: {error}", self.base.display())))? + "\n")
    }
}
