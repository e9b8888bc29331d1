//! What the weights are at the end of a day, and why: a pure function of what was published.
//!
//! In order: what the day's ranking earned; else the last earned weights, of those still registered
//! who did not lose them today; else all to the contest's fallback; else nothing is set.

use std::collections::BTreeSet;

use edgemaxx_contract::contest::Rewards;
use edgemaxx_contract::day::{DayRecord, Fate};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::ranking::{Ranking, Standing};
use edgemaxx_contract::weights::{Origin, WeightEntry, Weights, entries};

/// What a day's weights follow from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// What was found on chain.
    pub day: &'a DayRecord,
    /// The contest's rewards.
    pub rewards: &'a Rewards,
    /// The day's ranking and its file's digest; `None`: nothing was measured.
    pub ranking: Option<(&'a Ranking, Digest)>,
    /// The weights of the day before.
    pub previous: Option<&'a Weights>,
    /// The contest's share of the validator's weights, where it has several contests.
    pub share: Option<f64>,
}

/// The day's weights.
pub fn weights_of(basis: &Basis<'_>) -> Weights {
    let registered: BTreeSet<&str> = basis.day.registered.iter().map(String::as_str).collect();
    // Without a look at the chain nobody is known to have left.
    let is_registered = |hotkey: &str| basis.day.block.is_none() || registered.contains(hotkey);
    let mut weights = Weights {
        format: Weights::expected_format(),
        day: basis.day.day.clone(),
        origin: Origin::Earned,
        reason: String::new(),
        ranking: None,
        earned: None,
        share: basis.share,
        winner: None,
        entries: Vec::new(),
    };
    let why = match earned(basis, is_registered) {
        Ok((entries, ranking)) => {
            let (ranking, digest) = ranking;
            weights.reason.clone_from(&ranking.verdict);
            weights.ranking = Some(digest);
            weights.earned = Some(basis.day.day.clone());
            weights.winner = ranking.winner.clone().filter(|winner| is_registered(winner));
            weights.entries = entries;
            return weights;
        }
        Err(why) => why,
    };
    let lost = lost_today(basis);
    if let Some(previous) = basis.previous.filter(|previous| previous.origin != Origin::Fallback) {
        let keeps = |hotkey: &str| is_registered(hotkey) && !lost.contains(hotkey);
        let kept = previous.entries.iter().filter(|entry| keeps(&entry.hotkey));
        weights.entries = entries(kept.map(|entry| (entry.hotkey.clone(), entry.share)));
        if !weights.entries.is_empty() {
            weights.origin = Origin::Kept;
            weights.ranking = previous.ranking;
            weights.earned.clone_from(&previous.earned);
            weights.winner = previous.winner.clone().filter(|winner| keeps(winner));
            let of = previous.earned.as_ref().unwrap_or(&previous.day);
            let dropped = previous.entries.len() - weights.entries.len();
            let without = match dropped {
                0 => String::new(),
                n => format!(", without {n} who left or lost them today"),
            };
            weights.reason = format!("{why}; the weights of {of} are kept{without}");
            return weights;
        }
    }
    match basis.rewards.fallback.as_deref().filter(|fallback| is_registered(fallback)) {
        Some(fallback) => {
            weights.origin = Origin::Fallback;
            weights.reason =
                format!("{why}; nothing to keep, so all goes to the contest's fallback {fallback}");
            weights.entries = vec![WeightEntry { hotkey: fallback.to_owned(), share: 1.0 }];
        }
        None => {
            weights.origin = Origin::None;
            weights.reason =
                format!("{why}; nothing to keep and no registered fallback, so what stands on chain stays");
        }
    }
    weights
}

/// What the day's ranking earned, or why it earned nothing.
fn earned<'a>(
    basis: &Basis<'a>,
    is_registered: impl Fn(&str) -> bool,
) -> Result<(Vec<WeightEntry>, (&'a Ranking, Digest)), String> {
    let Some(ranking) = basis.ranking else { return Err(not_measured(basis.day)) };
    ranking.0.sets_weights().map_err(|why| format!("the day's run sets no weights: {why}"))?;
    let shares = ranking.0.entries.iter().filter(|entry| is_registered(&entry.name));
    let entries = entries(shares.map(|entry| (entry.name.clone(), entry.weight)));
    if entries.is_empty() {
        return Err(ranking.0.verdict.trim_end_matches('.').to_owned());
    }
    Ok((entries, ranking))
}

/// Why nothing was measured.
fn not_measured(day: &DayRecord) -> String {
    if let Some(trouble) = &day.not_measured {
        return trouble.clone();
    }
    let undecoded = day.undecoded.len();
    match (day.block.is_some(), day.entries().count()) {
        (false, _) => "the chain could not be read".to_owned(),
        (true, 0) if undecoded > 0 => format!("none of {undecoded} commitments could be decoded"),
        (true, 0) => "nobody submitted anything".to_owned(),
        (true, n) => format!("none of {n} submissions could be measured"),
    }
}

/// Who was measured today, in a run that may be believed, and earned nothing; or did not come so far.
fn lost_today<'a>(basis: &Basis<'a>) -> BTreeSet<&'a str> {
    let mut lost: BTreeSet<&str> = BTreeSet::new();
    for submission in &basis.day.submissions {
        if matches!(submission.fate, Fate::Copy { .. } | Fate::Invalid { .. }) {
            lost.insert(&submission.hotkey);
        }
    }
    if let Some((ranking, _)) = basis.ranking
        && ranking.sets_weights().is_ok()
    {
        let out = |standing| {
            matches!(
                standing,
                Standing::NotFaster | Standing::RejectedQuality | Standing::Copy | Standing::Failed
            )
        };
        lost.extend(ranking.entries.iter().filter(|e| out(e.standing)).map(|e| e.name.as_str()));
    }
    lost
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::RewardFormula;
    use edgemaxx_contract::day::{Submission, Undecoded};
    use edgemaxx_contract::estimate::CertificateVerdict;
    use edgemaxx_contract::plan::Extent;
    use edgemaxx_contract::ranking::RankEntry;

    use super::*;

    fn day(registered: &[&str]) -> DayRecord {
        DayRecord {
            registered: registered.iter().map(|name| (*name).to_owned()).collect(),
            ..DayRecord::mock()
        }
    }

    fn rewards(fallback: Option<&str>) -> Rewards {
        Rewards {
            formula: RewardFormula::Tiers,
            top_tier_share: 0.8,
            margin: 0.0,
            fallback: fallback.map(str::to_owned),
        }
    }

    fn ranking(entries: &[(&str, Standing, f64)]) -> Ranking {
        Ranking {
            format: Ranking::expected_format(),
            estimates: Digest::of("e"),
            extent: Extent::Full,
            fitness: CertificateVerdict::Fit,
            weights_refused: None,
            winner: entries.first().filter(|entry| entry.2 > 0.0).map(|entry| entry.0.to_owned()),
            verdict: "The verdict.".to_owned(),
            entries: entries
                .iter()
                .map(|(name, standing, weight)| RankEntry {
                    position: 1,
                    name: (*name).to_owned(),
                    standing: *standing,
                    reasons: Vec::new(),
                    tier: None,
                    score: *weight,
                    speedup_lower: None,
                    quality_factor: None,
                    weight: *weight,
                })
                .collect(),
        }
    }

    fn yesterday() -> Weights {
        let ranking = ranking(&[("a", Standing::Accepted, 0.8), ("b", Standing::Accepted, 0.2)]);
        let day = DayRecord { day: "2026-11-21".parse().unwrap(), ..day(&["a", "b"]) };
        weights_of(&Basis {
            day: &day,
            rewards: &rewards(None),
            ranking: Some((&ranking, Digest::of("r"))),
            previous: None,
            share: None,
        })
    }

    fn shares(weights: &Weights) -> Vec<(&str, f64)> {
        weights.entries.iter().map(|entry| (entry.hotkey.as_str(), entry.share)).collect()
    }

    #[test]
    fn what_is_earned_is_paid_to_who_is_registered() {
        let weights = yesterday();
        assert_eq!((weights.origin, weights.winner.as_deref()), (Origin::Earned, Some("a")));
        assert_eq!(shares(&weights), [("a", 0.8), ("b", 0.2)]);
        let ranking = ranking(&[("a", Standing::Accepted, 0.8), ("b", Standing::Accepted, 0.2)]);
        let day = day(&["b"]);
        let basis = Basis {
            day: &day,
            rewards: &rewards(None),
            ranking: Some((&ranking, Digest::of("r"))),
            previous: None,
            share: None,
        };
        assert_eq!(shares(&weights_of(&basis)), [("b", 1.0)]);
        assert_eq!(weights_of(&basis).winner, None);
    }

    /// Every way for a day to earn nothing, and what the weights are then.
    #[test]
    fn a_day_without_earnings_keeps_falls_back_or_leaves_and_says_why() {
        let yesterday = yesterday();
        let unfit = Ranking {
            weights_refused: Some("the run is unfit: A/A".to_owned()),
            fitness: CertificateVerdict::Unfit,
            ..ranking(&[("a", Standing::NotFaster, 0.0)])
        };
        let nobody = ranking(&[("c", Standing::NotFaster, 0.0)]);
        let a_lost = ranking(&[("a", Standing::NotFaster, 0.0)]);
        let away = DayRecord { block: None, registered: Vec::new(), ..day(&[]) };
        let invalid = DayRecord {
            submissions: vec![Submission {
                hotkey: "a".to_owned(),
                uid: Some(1),
                index: None,
                since: 1,
                source: "hf:a/a".to_owned(),
                claim: None,
                fate: Fate::Invalid { reason: "no files".to_owned() },
            }],
            ..day(&["a", "b"])
        };
        let full = DayRecord { not_measured: Some("the disk is full".to_owned()), ..day(&["a", "b"]) };
        type Case<'a> = (&'a str, DayRecord, Option<&'a Ranking>, Origin, &'a [(&'a str, f64)], &'a str);
        let cases: Vec<Case<'_>> = vec![
            (
                "nobody submitted",
                day(&["a", "b"]),
                None,
                Origin::Kept,
                &[("a", 0.8), ("b", 0.2)],
                "nobody submitted",
            ),
            ("chain away", away, None, Origin::Kept, &[("a", 0.8), ("b", 0.2)], "could not be read"),
            ("disk full", full, None, Origin::Kept, &[("a", 0.8), ("b", 0.2)], "the disk is full"),
            ("one left", day(&["b"]), None, Origin::Kept, &[("b", 1.0)], "without 1"),
            ("unfit", day(&["a", "b"]), Some(&unfit), Origin::Kept, &[("a", 0.8), ("b", 0.2)], "unfit"),
            (
                "none faster",
                day(&["a", "b"]),
                Some(&nobody),
                Origin::Kept,
                &[("a", 0.8), ("b", 0.2)],
                "The verdict",
            ),
            (
                "the winner lost",
                day(&["a", "b"]),
                Some(&a_lost),
                Origin::Kept,
                &[("b", 1.0)],
                "lost them today",
            ),
            ("the winner is invalid", invalid, None, Origin::Kept, &[("b", 1.0)], "none of 1 submissions"),
            ("all left", day(&["f"]), None, Origin::Fallback, &[("f", 1.0)], "fallback f"),
            ("all left, no fallback", day(&["x"]), None, Origin::None, &[], "stays"),
        ];
        for (name, day, ranking, origin, expected, why) in cases {
            let weights = weights_of(&Basis {
                day: &day,
                rewards: &rewards(Some("f")),
                ranking: ranking.map(|ranking| (ranking, Digest::of("r"))),
                previous: Some(&yesterday),
                share: None,
            });
            assert_eq!(weights.origin, origin, "{name}: {}", weights.reason);
            assert_eq!(shares(&weights), expected, "{name}");
            assert!(weights.reason.contains(why), "{name}: {}", weights.reason);
        }
    }

    #[test]
    fn a_day_on_which_nothing_was_measured_says_why() {
        let undecoded = |n: usize| DayRecord {
            undecoded: (0..n)
                .map(|at| Undecoded { hotkey: format!("h{at}"), reason: "no JSON".to_owned() })
                .collect(),
            ..day(&["a"])
        };
        assert_eq!(not_measured(&undecoded(0)), "nobody submitted anything");
        assert_eq!(not_measured(&undecoded(2)), "none of 2 commitments could be decoded");
    }

    #[test]
    fn a_fallback_is_not_kept_as_if_it_had_been_earned() {
        let first = weights_of(&Basis {
            day: &day(&["f"]),
            rewards: &rewards(Some("f")),
            ranking: None,
            previous: None,
            share: None,
        });
        assert_eq!(first.origin, Origin::Fallback);
        let second = weights_of(&Basis {
            day: &day(&["f", "g"]),
            rewards: &rewards(Some("g")),
            ranking: None,
            previous: Some(&first),
            share: None,
        });
        assert_eq!(shares(&second), [("g", 1.0)]);
    }
}
