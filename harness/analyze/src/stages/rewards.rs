//! From tiers to shares of the reward; and the original subnet's formulas.

use edgemaxx_contract::contest::{RewardFormula, Rewards};

/// The first place's share in the original subnet.
const LEGACY_FIRST: f64 = 0.8;

/// Shares of the reward by the contest's formula; they sum to 1, or there are none.
pub(super) fn shares(tiers: &[u32], rewards: &Rewards) -> Vec<f64> {
    match rewards.formula {
        RewardFormula::Tiers => by_tier(tiers, rewards.top_tier_share),
        RewardFormula::Legacy2024 => legacy_2024(tiers.len()),
        RewardFormula::Geometric2025 => geometric_2025(tiers.len(), rewards.top_tier_share),
    }
}

/// The first tier gets `top` of all, each next one `top` of the rest, the last one the rest;
/// a tier shares equally.
fn by_tier(tiers: &[u32], top: f64) -> Vec<f64> {
    let last = tiers.last().copied().unwrap_or(0);
    let mut rest = 1.0;
    let mut of_tier = Vec::new();
    for tier in 1..=last {
        let share = if tier == last { rest } else { top * rest };
        rest -= share;
        of_tier.push(share / tiers.iter().filter(|t| **t == tier).count() as f64);
    }
    tiers.iter().map(|tier| of_tier[*tier as usize - 1]).collect()
}

/// 0.8·rⁱ by rank, where r solves 0.8·rⁿ − r + 0.2 = 0, so that all sum to 1
/// (edge-maxxing, `validator.py` of autumn 2024: `_winner_percentage_sequence_ratio`).
fn legacy_2024(n: usize) -> Vec<f64> {
    if n < 2 {
        return vec![1.0; n];
    }
    let power = |r: f64, n: usize| (0..n).fold(1.0, |product, _| product * r);
    // r ← 0.2 + 0.8·rⁿ rises to the smaller of the two positive roots; the other one is 1.
    let mut r = 1.0 - LEGACY_FIRST;
    loop {
        let next = (1.0 - LEGACY_FIRST) + LEGACY_FIRST * power(r, n);
        if next <= r {
            break;
        }
        r = next;
    }
    (0..n).map(|rank| LEGACY_FIRST * power(r, rank)).collect()
}

/// p·(1 − p)ⁱ by rank, scaled to sum to 1, as the chain does
/// (edge-maxxing, `winner_selection.py`: `calculate_score_weights`).
fn geometric_2025(n: usize, p: f64) -> Vec<f64> {
    let raw: Vec<f64> = std::iter::successors(Some(p), |share| Some(share * (1.0 - p))).take(n).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|share| share / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn tiers_share_and_the_last_takes_the_rest() {
        close(&by_tier(&[1, 1, 2, 3], 0.8), &[0.4, 0.4, 0.16, 0.04]);
        close(&by_tier(&[1], 0.8), &[1.0]);
        assert!(by_tier(&[], 0.8).is_empty());
    }

    #[test]
    fn legacy_shares_sum_to_one() {
        // n = 2: 0.8·r² − r + 0.2 = 0 has the roots 1/4 and 1.
        close(&legacy_2024(2), &[0.8, 0.2]);
        // n = 3: 0.8·r³ − r + 0.2 = (r − 1)(0.8·r² + 0.8·r − 0.2), r = (√2 − 1)/2.
        let r = (2f64.sqrt() - 1.0) / 2.0;
        close(&legacy_2024(3), &[0.8, 0.8 * r, 0.8 * r * r]);
        for n in 1..300 {
            assert!((legacy_2024(n).iter().sum::<f64>() - 1.0).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn geometric_shares_fall_by_the_same_factor() {
        close(&geometric_2025(3, 0.8), &[0.8 / 0.992, 0.16 / 0.992, 0.032 / 0.992]);
        assert!(geometric_2025(0, 0.8).is_empty());
        close(&geometric_2025(2, 1.0), &[1.0, 0.0]);
    }
}
