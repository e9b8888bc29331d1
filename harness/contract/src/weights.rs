//! `weights.json`: what a day decided to set on chain, for whom, and why. No day ends without one.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::format::Format;
use crate::plan::Day;

/// The name of the file.
pub const WEIGHTS_FILE: &str = "weights.json";

/// A day's decision about the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Weights {
    /// `edgemaxx-weights`.
    #[serde(flatten)]
    pub format: Format,
    /// The contest's day.
    pub day: Day,
    /// Where they come from.
    pub origin: Origin,
    /// Why, in words.
    pub reason: String,
    /// Digest of the `ranking.json` they rest on; of an earlier day's where they are kept.
    pub ranking: Option<Digest>,
    /// The day that they were earned on.
    pub earned: Option<Day>,
    /// What share of the validator's weights this contest decides; `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Who held the first place when they were earned.
    pub winner: Option<String>,
    /// Hotkeys with a share, by hotkey; empty: nothing is set, what stands on chain stays.
    pub entries: Vec<WeightEntry>,
}

document!(Weights, "edgemaxx-weights", 1);

/// Where a day's weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The day's own ranking.
    Earned,
    /// The last weights that were earned, for those still registered.
    Kept,
    /// All to the contest's fallback.
    Fallback,
    /// No weights: neither was there anything to keep, nor a fallback.
    None,
}

/// One hotkey's share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WeightEntry {
    /// Address (SS58); its uid is looked up when the weights are set.
    pub hotkey: String,
    /// Share of all rewards; all shares sum to 1.
    pub share: f64,
}

/// Shares by hotkey as entries: sorted, each once, what is not positive dropped, scaled to sum to 1.
pub fn entries(shares: impl IntoIterator<Item = (String, f64)>) -> Vec<WeightEntry> {
    let by_hotkey: std::collections::BTreeMap<String, f64> =
        shares.into_iter().filter(|(_, share)| share.is_finite() && *share > 0.0).collect();
    let sum: f64 = by_hotkey.values().sum();
    by_hotkey.into_iter().map(|(hotkey, share)| WeightEntry { share: share / sum, hotkey }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_positive_sorted_and_sum_to_one() {
        let shares = [("d", 0.7), ("a", 0.1), ("e", f64::NAN), ("c", 0.0), ("f", -1.0)];
        let found = entries(shares.map(|(name, share)| (name.to_owned(), share)));
        let names: Vec<&str> = found.iter().map(|entry| entry.hotkey.as_str()).collect();
        assert_eq!(names, ["a", "d"]);
        assert!((found[1].share - 0.875).abs() < 1e-12 && (found[0].share - 0.125).abs() < 1e-12);
    }
}
