//! What was signed and what became of it: one JSON line each, synced before submission. It survives a crash
//! between submission and answer, and its lock keeps two processes from using the same nonce.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use edgemaxx_contract::torn_line::whole_lines;
use edgemaxx_seal::AccountId;
use serde::{Deserialize, Serialize};

use crate::ChainError;

/// One signed extrinsic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// What was meant, independent of nonce and encryption: equal intents are the same decision.
    pub intent: String,
    /// `Pallet.call`.
    pub call: String,
    /// The signer.
    pub hotkey: AccountId,
    /// Its nonce.
    pub nonce: u64,
    /// The block it was signed at.
    pub block: u64,
    /// The last block it may enter.
    pub valid_until: u64,
    /// The signed bytes, hexadecimal: submitting them again can never act twice.
    pub extrinsic: String,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Executed well in this finalised block.
    Landed(u64),
    /// Executed, but refused by the chain with this error.
    Rejected(String),
    /// Refused before execution.
    Refused(String),
    /// Never executed, and it never will be.
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Signed { version: u32, attempt: Attempt },
    Concluded { version: u32, extrinsic: String, outcome: Outcome },
}

const VERSION: u32 = 1;

/// An open, locked journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    attempts: Vec<(Attempt, Option<Outcome>)>,
}

impl Journal {
    /// Open or create the journal and lock it.
    ///
    /// # Errors
    /// When another process holds it, or it is damaged anywhere but in its last, unfinished line.
    pub fn open(path: &Path) -> Result<Self, ChainError> {
        let fail = |why: String| ChainError::Journal { path: path.to_owned(), why };
        let io = |e: std::io::Error| fail(format!("cannot use the journal: {e}"));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        file.try_lock().map_err(|e| {
            fail(format!("another process is submitting with this journal ({e}); wait for it to end"))
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        // An unfinished last line was never synced, so its extrinsic was never submitted.
        let whole = whole_lines(&text);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let mut attempts: Vec<(Attempt, Option<Outcome>)> = Vec::new();
        for (i, line) in text[..whole].lines().enumerate() {
            let bad = |why: String| {
                fail(format!("line {}: {why}; move the file away once no attempt in it is open", i + 1))
            };
            match serde_json::from_str(line).map_err(|e| bad(e.to_string()))? {
                Line::Signed { version: VERSION, attempt } => attempts.push((attempt, None)),
                Line::Concluded { version: VERSION, extrinsic, outcome } => {
                    let found = attempts.iter_mut().rev().find(|(a, _)| a.extrinsic == extrinsic);
                    found.ok_or_else(|| bad("concludes an attempt that was never signed".into()))?.1 =
                        Some(outcome);
                }
                Line::Signed { version, .. } | Line::Concluded { version, .. } => {
                    return Err(bad(format!("version {version}, this program reads {VERSION}")));
                }
            }
        }
        Ok(Self { path: path.to_owned(), file, attempts })
    }

    /// All attempts in order, with what became of them; `None`: not known yet.
    pub fn attempts(&self) -> &[(Attempt, Option<Outcome>)] {
        &self.attempts
    }

    /// Attempts of this signer whose outcome is not known.
    pub(super) fn open_attempts(&self, hotkey: &AccountId) -> Vec<Attempt> {
        self.attempts
            .iter()
            .filter(|(a, outcome)| a.hotkey == *hotkey && outcome.is_none())
            .map(|(a, _)| a.clone())
            .collect()
    }

    /// The latest time this intent of this signer landed.
    pub(super) fn landed(&self, hotkey: &AccountId, intent: &str) -> Option<(Attempt, u64)> {
        self.attempts.iter().rev().find_map(|(a, outcome)| match outcome {
            Some(Outcome::Landed(block)) if a.hotkey == *hotkey && a.intent == intent => {
                Some((a.clone(), *block))
            }
            _ => None,
        })
    }

    pub(super) fn signed(&mut self, attempt: &Attempt) -> Result<(), ChainError> {
        self.append(&Line::Signed { version: VERSION, attempt: attempt.clone() })?;
        self.attempts.push((attempt.clone(), None));
        Ok(())
    }

    pub(super) fn concluded(&mut self, extrinsic: &str, outcome: Outcome) -> Result<(), ChainError> {
        self.append(&Line::Concluded {
            version: VERSION,
            extrinsic: extrinsic.to_owned(),
            outcome: outcome.clone(),
        })?;
        if let Some(found) = self.attempts.iter_mut().rev().find(|(a, _)| a.extrinsic == extrinsic) {
            found.1 = Some(outcome);
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), ChainError> {
        let fail = |why: String| ChainError::Journal { path: self.path.clone(), why };
        let mut text = serde_json::to_string(line).map_err(|e| fail(e.to_string()))?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .map_err(|e| fail(format!("cannot write the journal: {e}; nothing more is submitted")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(nonce: u64) -> Attempt {
        Attempt {
            intent: "weights".into(),
            call: "SubtensorModule.set_weights".into(),
            hotkey: AccountId([1; 32]),
            nonce,
            block: 10,
            valid_until: 26,
            extrinsic: format!("{nonce:02x}"),
        }
    }

    #[test]
    fn what_was_signed_survives_and_what_was_torn_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain/journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.signed(&attempt(0)).unwrap();
        journal.concluded("00", Outcome::Landed(12)).unwrap();
        journal.signed(&attempt(1)).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"event":"signed","vers"#).unwrap();
        drop(file);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.open_attempts(&AccountId([1; 32])), [attempt(1)]);
        assert_eq!(journal.open_attempts(&AccountId([2; 32])), []);
        assert_eq!(journal.landed(&AccountId([1; 32]), "weights"), Some((attempt(0), 12)));
        assert_eq!(journal.landed(&AccountId([1; 32]), "other"), None);
        journal.concluded("01", Outcome::Expired).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.attempts()[1], (attempt(1), Some(Outcome::Expired)));
    }

    #[test]
    fn two_processes_cannot_submit_at_once_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let held = Journal::open(&path).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(held);
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Journal::open(&path).unwrap_err().to_string().contains("line 1"));
        std::fs::write(
            &path,
            "{\"event\":\"concluded\",\"version\":9,\"extrinsic\":\"\",\"outcome\":\"expired\"}\n",
        )
        .unwrap();
        assert!(Journal::open(&path).unwrap_err().to_string().contains("version 9"));
    }
}
