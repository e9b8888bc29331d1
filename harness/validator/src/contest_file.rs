//! The day's contest file: the contest, yesterday's winner, and a candidate for each submission.

use std::fmt::Write as _;

use edgemaxx_contract::contest::{Contest, ContestError};
use edgemaxx_contract::day::{DayRecord, Fate};

/// A contest that a validator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ContestFileError {
    /// Not a contest.
    #[error("{0}")]
    Contest(#[from] ContestError),
    /// It brings candidates of its own.
    #[error("candidate {0:?}: expected none but a control: a validator's candidates come from the chain")]
    Candidate(String),
    /// It names an incumbent.
    #[error("incumbent: expected none: a validator's incumbent is yesterday's winner")]
    Incumbent,
    /// It is for another subnet.
    #[error("netuid: the contest is for subnet {contest}, --netuid says {asked}")]
    Netuid {
        /// In the file.
        contest: u16,
        /// As asked for.
        asked: u16,
    },
}

/// Checks that a contest file leaves its candidates to the chain.
///
/// # Errors
/// [`ContestFileError`] names what stands in the way.
pub fn check(text: &str, netuid: u16) -> Result<Contest, ContestFileError> {
    let contest = Contest::parse(text)?;
    if let Some(candidate) = contest.candidates.iter().find(|candidate| !candidate.control) {
        return Err(ContestFileError::Candidate(candidate.name.clone()));
    }
    match (&contest.incumbent, contest.netuid) {
        (Some(_), _) => Err(ContestFileError::Incumbent),
        (None, Some(own)) if own != netuid => Err(ContestFileError::Netuid { contest: own, asked: netuid }),
        _ => Ok(contest),
    }
}

/// The contest file of a day: `text` with the day's candidates, and its incumbent if that is one of
/// them.
pub fn compose(text: &str, record: &DayRecord, winner: Option<&str>) -> String {
    let measured = |s: &&edgemaxx_contract::day::Submission| matches!(s.fate, Fate::Candidate { .. });
    let mut out = String::new();
    if let Some(winner) = winner.filter(|winner| {
        record.submissions.iter().filter(measured).any(|submission| submission.hotkey == *winner)
    }) {
        let _ = writeln!(out, "incumbent = {winner:?}");
    }
    out.push_str(text);
    for submission in record.submissions.iter().filter(measured) {
        let name = toml_string(&submission.hotkey);
        let source = toml_string(&submission.source);
        let description = toml_string(&format!("{}, since block {}", submission.source, submission.since));
        let _ = write!(
            out,
            "\n[[candidate]]\nname = {name}\ndescription = {description}\ncheckpoint = {source}\n"
        );
    }
    out
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out + "\""
}
