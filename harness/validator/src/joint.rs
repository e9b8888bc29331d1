//! Several contests of one validator: each has days of its own, and decides a share of the weights; what goes on chain are
//! all of them together, by a day of their own. Nobody's share becomes another contest's: where one decides nothing, nothing
//! is set.

use std::collections::BTreeMap;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::Part;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{Origin, Weights, entries};

/// The weights of a day from those of its contests, each by its share.
pub fn sum(day: &Day, parts: &[(Part, Option<Weights>)]) -> Weights {
    let mut weights = Weights {
        format: Weights::expected_format(),
        day: day.clone(),
        origin: Origin::None,
        reason: parts.iter().map(said).collect::<Vec<_>>().join("; "),
        ranking: None,
        earned: None,
        share: None,
        winner: None,
        entries: Vec::new(),
    };
    let nothing =
        |weights: &Option<Weights>| weights.as_ref().is_none_or(|weights| weights.entries.is_empty());
    if let Some((part, _)) = parts.iter().find(|(_, weights)| nothing(weights)) {
        weights.reason = format!(
            "contest {} decides nothing, and its share is no other contest's, so what stands on chain stays; {}",
            part.contest, weights.reason
        );
        return weights;
    }
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for (part, decided) in parts {
        for entry in decided.iter().flat_map(|decided| &decided.entries) {
            *shares.entry(entry.hotkey.clone()).or_default() += part.share * entry.share;
        }
    }
    weights.entries = entries(shares);
    let any = |origin| parts.iter().any(|(_, decided)| decided.as_ref().is_some_and(|d| d.origin == origin));
    weights.origin = match (any(Origin::Earned), any(Origin::Kept)) {
        (true, _) => Origin::Earned,
        (false, true) => Origin::Kept,
        (false, false) => Origin::Fallback,
    };
    weights.earned = (weights.origin == Origin::Earned).then(|| day.clone());
    weights
}

/// What a contest decided, in words.
fn said((part, weights): &(Part, Option<Weights>)) -> String {
    let (origin, why) = match weights {
        None => ("nothing yet", "it has not ended a day"),
        Some(weights) => {
            let origin = match weights.origin {
                Origin::Earned => "earned",
                Origin::Kept => "kept",
                Origin::Fallback => "fallback",
                Origin::None => "none",
            };
            (origin, weights.reason.trim_end_matches('.'))
        }
    };
    format!("{} ({:.1}%, {origin}): {why}", part.contest, 100.0 * part.share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(contest: &str, share: f64, origin: Origin, shares: &[(&str, f64)]) -> (Part, Option<Weights>) {
        let day: Day = "2026-11-22".parse().unwrap();
        let weights = Weights {
            format: Weights::expected_format(),
            day: day.clone(),
            origin,
            reason: format!("as {contest} says."),
            ranking: None,
            earned: None,
            share: Some(share),
            winner: None,
            entries: entries(shares.iter().map(|(name, share)| ((*name).to_owned(), *share))),
        };
        let part = Part { contest: contest.to_owned(), share, day: Some(day), manifest: None };
        (part, Some(weights))
    }

    fn summed(parts: &[(Part, Option<Weights>)]) -> (Origin, Vec<(String, f64)>, String) {
        let weights = sum(&"2026-11-22".parse().unwrap(), parts);
        let shares = weights.entries.into_iter().map(|e| (e.hotkey, (e.share * 1e9).round() / 1e9)).collect();
        (weights.origin, shares, weights.reason)
    }

    #[test]
    fn each_contest_decides_its_share_and_never_anothers() {
        let a = part("a", 0.7, Origin::Earned, &[("x", 0.8), ("y", 0.2)]);
        let b = part("b", 0.3, Origin::Kept, &[("y", 0.5), ("z", 0.5)]);
        let (origin, shares, reason) = summed(&[a.clone(), b]);
        assert_eq!(origin, Origin::Earned);
        let expected = [("x", 0.56), ("y", 0.29), ("z", 0.15)].map(|(name, share)| (name.to_owned(), share));
        assert_eq!(shares, expected);
        assert_eq!(reason, "a (70.0%, earned): as a says; b (30.0%, kept): as b says");
        // One whose own rule sends its share to its fallback.
        let (_, shares, _) = summed(&[a.clone(), part("b", 0.3, Origin::Fallback, &[("owner", 1.0)])]);
        assert!(shares.contains(&("owner".to_owned(), 0.3)), "{shares:?}");
        // One that decides nothing leaves its share to nobody.
        let (origin, shares, reason) = summed(&[a.clone(), part("b", 0.3, Origin::None, &[])]);
        assert_eq!((origin, shares.len()), (Origin::None, 0));
        assert!(
            reason.starts_with("contest b decides nothing, and its share is no other contest's"),
            "{reason}"
        );
        let never = Part { contest: "c".to_owned(), share: 0.3, day: None, manifest: None };
        let (origin, _, reason) = summed(&[a, (never, None)]);
        assert!(origin == Origin::None && reason.contains("it has not ended a day"), "{reason}");
        // What is earned is earned on this day; what is kept has no day of its own among several.
        let kept = part("a", 0.7, Origin::Kept, &[("x", 1.0)]);
        let fallback = part("b", 0.3, Origin::Fallback, &[("x", 1.0)]);
        let today: Day = "2026-11-22".parse().unwrap();
        for (parts, origin, earned) in [
            ([kept.clone(), fallback.clone()], Origin::Kept, None),
            ([fallback.clone(), fallback], Origin::Fallback, None),
            ([kept, part("b", 0.3, Origin::Earned, &[("x", 1.0)])], Origin::Earned, Some(today.clone())),
        ] {
            let weights = sum(&today, &parts);
            assert_eq!((weights.origin, weights.earned), (origin, earned));
        }
    }
}
