//! Verbs of this program in a child process: how one failed is written down by it as data, and never read off its words.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Class;

/// The variable that names the file for a failure.
pub const FAILURE_VARIABLE: &str = "EDGEMAXX_FAILURE";

/// How a verb failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Of which class; it decides the exit code.
    pub class: Class,
    /// In words.
    pub message: String,
}

impl Failure {
    /// In the child: writes the failure down where whoever started it asked for that. Nobody there, or no room to write,
    /// is no further error: the exit code tells the rest.
    pub fn tell(&self) {
        if let Some(path) = std::env::var_os(FAILURE_VARIABLE).map(PathBuf::from)
            && let Ok(text) = serde_json::to_string(self)
        {
            let _ = edgemaxx_files::write_whole(&path, text.as_bytes());
        }
    }

    /// In the parent, before the child is started: what an earlier one left is gone.
    pub fn expect_at(path: &Path) {
        let _ = std::fs::remove_file(path);
    }

    /// In the parent, when the child has ended: what it wrote down; `None`: nothing, as one that was killed.
    pub fn told_at(path: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_as_it_was_told_and_an_old_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failure.json");
        let failure =
            Failure { class: Class::Chain, message: "error: not the last line\nerror: ".to_owned() };
        std::fs::write(&path, serde_json::to_string(&failure).unwrap()).unwrap();
        assert_eq!(Failure::told_at(&path), Some(failure));
        Failure::expect_at(&path);
        assert_eq!(Failure::told_at(&path), None);
        std::fs::write(&path, "{\"class\":\"chain\"").unwrap();
        assert_eq!(Failure::told_at(&path), None, "torn");
    }
}
