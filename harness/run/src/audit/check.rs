//! One check of an audit, and what an audit may use.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;

/// What an audit may use beside the run folder.
pub struct Means {
    /// The sealed day before.
    pub previous: Option<PathBuf>,
    /// Folder that the contest's paths are relative to.
    pub base: Option<PathBuf>,
    /// Who must have signed.
    pub hotkey: Option<String>,
    /// Which subnet it must be a day of.
    pub netuid: Option<u16>,
    /// Whether a run that nobody signed may pass.
    pub allow_unsigned: bool,
}

/// One check's result.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub what: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// In words; for a failure, the file first.
    pub detail: String,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be made here, and nothing follows from that.
    Skipped,
    /// It must be made, and could not be: the run is not verified.
    Unknown,
}

/// A check that holds, or could not be made.
pub(super) enum Held {
    /// It holds, in words.
    Yes(String),
    /// Why it could not be made.
    NotHere(String),
    /// Why it could not be made, although it must be.
    Unknown(String),
}

/// Checks so far; nothing more is to be made after one that failed.
#[derive(Default)]
pub(super) struct Checks(pub(super) Vec<Check>);

impl Checks {
    /// Notes how a check came out; `false`: it failed.
    pub(super) fn add(&mut self, what: &'static str, result: Result<Held>) -> bool {
        let (verdict, detail) = match result {
            Ok(Held::Yes(detail)) => (Verdict::Passed, detail),
            Ok(Held::NotHere(detail)) => (Verdict::Skipped, detail),
            Ok(Held::Unknown(detail)) => (Verdict::Unknown, detail),
            Err(error) => (Verdict::Failed, error.words()),
        };
        self.0.push(Check { what, verdict, detail });
        verdict != Verdict::Failed
    }
}

/// How a check came out, in words.
#[cfg(test)]
pub(super) fn said(held: Result<Held>) -> (&'static str, String) {
    match held {
        Ok(Held::Yes(words)) => ("yes", words),
        Ok(Held::NotHere(words)) => ("not here", words),
        Ok(Held::Unknown(words)) => ("unknown", words),
        Err(error) => ("no", error.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RunError;

    #[test]
    fn only_what_failed_ends_an_audit() {
        let mut checks = Checks::default();
        let results = [
            (Ok(Held::Yes("a".to_owned())), true, Verdict::Passed),
            (Ok(Held::NotHere("b".to_owned())), true, Verdict::Skipped),
            (Ok(Held::Unknown("c".to_owned())), true, Verdict::Unknown),
            (Err(RunError::input("d".to_owned())), false, Verdict::Failed),
        ];
        for (result, goes_on, verdict) in results {
            assert_eq!(checks.add("what", result), goes_on, "{verdict:?}");
            assert_eq!(checks.0.last().unwrap().verdict, verdict);
        }
        let said: Vec<&str> = checks.0.iter().map(|check| check.detail.as_str()).collect();
        assert_eq!(said, ["a", "b", "c", "d"]);
    }
}
