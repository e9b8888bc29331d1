//! The leaderboard: one row per candidate, best first.

use edgemaxx_contract::ranking::Standing;
use serde::Serialize;

use crate::escape::visible;
use crate::number::{self, UNDEFINED};
use crate::standing::{standing_key, standing_words};
use crate::view::RunView;

/// One row. Every `*_key` is what a column is sorted by; empty: last.
#[derive(Debug, Serialize)]
pub(crate) struct BoardRow {
    pub anchor: String,
    pub position: u32,
    pub tier: String,
    pub tier_key: String,
    pub name: String,
    pub description: String,
    pub winner: bool,
    pub standing: &'static str,
    pub standing_words: &'static str,
    pub speedup: String,
    pub speedup_interval: String,
    pub speedup_key: String,
    pub similarity: String,
    pub similarity_bound: String,
    pub similarity_key: String,
    pub score: String,
    pub score_key: String,
    pub weight: String,
    pub weight_key: String,
    pub reasons: Vec<String>,
}

/// All rows in the order of the ranking.
pub(crate) fn rows(view: &RunView<'_>) -> Vec<BoardRow> {
    let key =
        |value: Option<f64>| value.filter(|v| v.is_finite()).map_or_else(String::new, |v| format!("{v:.9}"));
    view.ranked()
        .into_iter()
        .enumerate()
        .map(|(index, (entry, estimates))| {
            let speedup = estimates.and_then(|e| e.speedup.as_ref());
            let proven = estimates.and_then(|e| e.claimed_speedup());
            let similarity = estimates.and_then(|e| e.similarity.as_ref());
            let description = view.plan.pipeline(&entry.name).map_or("", |p| p.description.as_str());
            BoardRow {
                anchor: anchor(index),
                position: entry.position,
                tier: entry.tier.map_or_else(|| UNDEFINED.to_owned(), |tier| tier.to_string()),
                tier_key: entry.tier.map_or_else(String::new, |tier| tier.to_string()),
                name: visible(&entry.name),
                description: visible(description),
                winner: view.ranking.winner.as_ref() == Some(&entry.name),
                standing: standing_key(entry.standing),
                standing_words: standing_words(entry.standing),
                speedup: number::optional(speedup.map(|s| s.point), number::speedup),
                speedup_interval: proven.map_or_else(String::new, |s| {
                    number::interval(s.lower, s.upper, |v| number::fixed(v, 3))
                }),
                speedup_key: key(speedup.map(|s| s.point)),
                similarity: number::optional(similarity.map(|s| s.point), |v| number::fixed(v, 3)),
                similarity_bound: similarity
                    .and_then(|s| s.lower)
                    .map_or_else(String::new, |lower| format!("≥ {}", number::fixed(lower, 3))),
                similarity_key: key(similarity.map(|s| s.point)),
                score: if matches!(entry.standing, Standing::Control | Standing::Failed) {
                    UNDEFINED.to_owned()
                } else {
                    number::fixed(entry.score, 4)
                },
                score_key: key(Some(entry.score)),
                weight: if entry.weight > 0.0 {
                    number::percent(entry.weight, 1)
                } else {
                    UNDEFINED.to_owned()
                },
                weight_key: key(Some(entry.weight)),
                reasons: entry.reasons.iter().map(|reason| visible(reason)).collect(),
            }
        })
        .collect()
}

/// Where a candidate's own section is found.
pub(crate) fn anchor(index: usize) -> String {
    format!("candidate-{}", index + 1)
}
