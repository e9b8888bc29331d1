//! `joint.json`: of a validator with several contests, which ones decide its weights of a day, each by its share.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::format::Format;
use crate::plan::Day;

/// The name of the file.
pub const JOINT_FILE: &str = "joint.json";
/// The folder of a fetched day of all contests, beside the days of one of them.
pub const FETCHED_FOLDER: &str = "joint";
/// Shares sum to 1 within this.
const SUM_WITHIN: f64 = 1e-6;

/// The contests behind a day's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Joint {
    /// `edgemaxx-joint`.
    #[serde(flatten)]
    pub format: Format,
    /// The day.
    pub day: Day,
    /// The subnet.
    pub netuid: u16,
    /// Address (SS58) of the validator's hotkey.
    pub validator: String,
    /// The block at which submissions closed; of several, the last. `None`: no contest could read the chain.
    pub since: Option<u64>,
    /// The contests, in their order.
    pub contests: Vec<Part>,
}

document!(Joint, "edgemaxx-joint", 1);

/// A contest's part in a day's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The contest's name.
    pub contest: String,
    /// Share of all weights; those of all contests sum to 1.
    pub share: f64,
    /// The day that decided; an earlier one where the contest passed over this one. `None`: it never decided.
    pub day: Option<Day>,
    /// Digest of that day's manifest.
    pub manifest: Option<Digest>,
}

/// What share of the weights a contest decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The contest's name.
    pub contest: String,
    /// Share of all weights; those of all contests sum to 1.
    pub share: f64,
}

/// Why shares cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ShareError {
    /// A name twice, or one that is no folder's, or a day's.
    #[error("contest {0:?}: expected names that differ, of letters, digits, `-`, `_` and `.`, and no day")]
    Name(String),
    /// A share that is none.
    #[error("contest {contest:?}: a share of {share}, expected more than 0 and at most 1")]
    Share {
        /// Whose.
        contest: String,
        /// Which.
        share: f64,
    },
    /// They do not make a whole.
    #[error("shares sum to {0}, expected 1")]
    Sum(f64),
}

/// Checks that shares make a whole, of contests that can be told apart.
///
/// # Errors
/// [`ShareError`].
pub fn check_shares<'a>(shares: impl Iterator<Item = (&'a str, f64)> + Clone) -> Result<(), ShareError> {
    for (at, (contest, share)) in shares.clone().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let named = contest.chars().all(plain) && !contest.is_empty() && !contest.starts_with('.');
        // Beside them lie the days of all together.
        let taken = contest.parse::<Day>().is_ok() || contest == "days" || contest == FETCHED_FOLDER;
        if !named || taken || shares.clone().take(at).any(|(other, _)| other == contest) {
            return Err(ShareError::Name(contest.to_owned()));
        }
        if !(share > 0.0 && share <= 1.0) {
            return Err(ShareError::Share { contest: contest.to_owned(), share });
        }
    }
    let sum = shares.fold(0.0, |sum, (_, share)| sum + share);
    if (sum - 1.0).abs() > SUM_WITHIN { Err(ShareError::Sum(sum)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_a_whole_of_contests_that_can_be_told_apart() {
        let check =
            |shares: &[(&str, f64)]| check_shares(shares.iter().copied()).map_err(|error| error.to_string());
        assert_eq!(check(&[("a", 0.7), ("b", 0.2), ("c.1", 0.1)]), Ok(()));
        for (shares, expected) in [
            (&[("a", 0.7), ("b", 0.2)][..], "sum to 0.8999"),
            (&[("a", 0.5), ("a", 0.5)], "names that differ"),
            (&[("a", 0.5), ("../b", 0.5)], "names that differ"),
            (&[("a", 0.5), ("2026-11-22", 0.5)], "and no day"),
            (&[("a", 0.5), ("days", 0.5)], "names that differ"),
            (&[("a", 1.0), ("b", 0.0)], "a share of 0"),
            (&[("a", f64::NAN), ("b", 1.0)], "a share of NaN"),
            (&[("a", 1.5), ("b", -0.5)], "a share of 1.5"),
            (&[], "sum to 0"),
        ] {
            let said = check(shares).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
