//! What a miner must remember of a seal until it is opened: without the salt nobody can open it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use edgemaxx_chain::commitment::fresh_salt;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sealed_claim::Salt;
use edgemaxx_files::write_whole;
use serde::{Deserialize, Serialize};

use crate::error::{InFile as _, Result};
use crate::text_file::read_text_if_there;

/// One seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    netuid: u16,
    contest: String,
    checkpoint: Digest,
    /// What opens it.
    pub salt: Salt,
    /// The block it stands in; `None`: it was not seen to stand.
    pub block: Option<u32>,
}

/// The seals of one hotkey on one chain.
pub struct Seals {
    path: PathBuf,
    all: Vec<Kept>,
}

impl Seals {
    /// Those kept in `path`; none where there is no such file.
    ///
    /// # Errors
    /// They cannot be read: a damaged memory is not an empty one.
    pub fn open(path: &Path) -> Result<Self> {
        let all = match read_text_if_there(path)? {
            Some(text) => serde_json::from_str(&text).in_file(path)?,
            None => Vec::new(),
        };
        Ok(Self { path: path.to_owned(), all })
    }

    /// The seal of a checkpoint for a contest, if there is one.
    pub fn find(&self, netuid: u16, contest: &str, checkpoint: &Digest) -> Option<&Kept> {
        let is_it = |kept: &&Kept| {
            (kept.netuid, kept.contest.as_str(), &kept.checkpoint) == (netuid, contest, checkpoint)
        };
        self.all.iter().find(is_it)
    }

    /// The same; a new one with a fresh salt, kept before anybody sees it, where there is none.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn find_or_make(&mut self, netuid: u16, contest: &str, checkpoint: Digest) -> Result<Kept> {
        if let Some(kept) = self.find(netuid, contest, &checkpoint) {
            return Ok(kept.clone());
        }
        let kept = Kept { netuid, contest: contest.to_owned(), checkpoint, salt: fresh_salt(), block: None };
        self.all.push(kept.clone());
        self.write()?;
        Ok(kept)
    }

    /// Notes that `seal` stands in `block`.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn stands(&mut self, seal: &Kept, block: u32) -> Result<()> {
        for kept in self.all.iter_mut().filter(|kept| kept.salt == seal.salt) {
            kept.block = Some(block);
        }
        self.write()
    }

    /// For its owner alone: who has the salt can try checkpoints.
    fn write(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).in_file(folder)?;
        }
        let text = serde_json::to_string_pretty(&self.all).in_file(&self.path)?;
        write_whole(&self.path, text.as_bytes()).in_file(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600)).in_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_remembered_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal/seals.json");
        let files = Digest::of("files");
        let mut seals = Seals::open(&path).unwrap();
        let first = seals.find_or_make(39, "c", files).unwrap();
        assert_eq!(first.block, None);
        seals.stands(&first, 7).unwrap();
        let mut again = Seals::open(&path).unwrap();
        let found = again.find_or_make(39, "c", files).unwrap();
        assert_eq!((found.salt, found.block), (first.salt, Some(7)));
        assert_ne!(again.find_or_make(39, "other", files).unwrap().salt, first.salt);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "[{").unwrap();
        assert!(Seals::open(&path).is_err(), "a damaged memory is not an empty one");
    }
}
