//! The day's contest file: the contest, yesterday's winner, and a candidate for each submission.

use edgemaxx_contract::contest::{Contest, Entrant, with_candidates};
use edgemaxx_contract::day::{DayRecord, Fate, Submission};
use edgemaxx_contract::input::InputError;

/// A contest that a validator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ContestFileError {
    /// Not a contest.
    #[error("{0}")]
    Contest(#[from] InputError),
    /// It brings candidates of its own.
    #[error("candidate {0:?}: expected none but a control: a validator's candidates come from the chain")]
    Candidate(String),
    /// It names an incumbent.
    #[error("incumbent: expected none: a validator's incumbent is yesterday's winner")]
    Incumbent,
    /// Its baseline is of two folders.
    #[error(
        "baseline.unet: expected none: submissions are compared with the baseline's weights, which must be one checkpoint"
    )]
    Unet,
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
    if contest.baseline.checkpoint.unet.is_some() {
        return Err(ContestFileError::Unet);
    }
    match (&contest.incumbent, contest.netuid) {
        (Some(_), _) => Err(ContestFileError::Incumbent),
        (None, Some(own)) if own != netuid => Err(ContestFileError::Netuid { contest: own, asked: netuid }),
        _ => Ok(contest),
    }
}

/// The contest file of a day: `text` with the day's candidates, and its incumbent if that is one of
/// them.
///
/// # Errors
/// The text is no contest.
pub fn compose(text: &str, record: &DayRecord, winner: Option<&str>) -> Result<String, ContestFileError> {
    let measured = |s: &&Submission| matches!(s.fate, Fate::Candidate { .. });
    let repeats = |submission: &Submission| match &submission.fate {
        Fate::Candidate { repeats: Some(repeats), .. } => repeats.of.clone(),
        _ => Vec::new(),
    };
    let entrants: Vec<Entrant> = record
        .submissions
        .iter()
        .filter(measured)
        .map(|submission| Entrant {
            repeats: repeats(submission),
            by_engine: matches!(submission.fate, Fate::Candidate { by_engine: true, .. }),
            name: submission.hotkey.clone(),
            description: Some(format!("{}, since block {}", submission.source, submission.since)),
            checkpoint: Some(submission.source.clone()),
            ..Entrant::default()
        })
        .collect();
    let incumbent = winner.filter(|winner| entrants.iter().any(|entrant| entrant.name == **winner));
    Ok(with_candidates(text, &entrants, incumbent)?)
}
