//! Nothing that is said of a contest contradicts anything else that is said of it: speed tiers, rank
//! sets, probabilities, score tiers, scores, the winner and the sentence at the top.

use edgemaxx_contract::estimate::{CandidateEstimates, CertificateVerdict, Claim, Estimates, StoppedEarly};
use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::ranking::{RankEntry, Ranking, Standing};

use super::rank;
use super::tests::simulated::{CONFINED, TRUTH, drawn_run, environment, estimates};
use crate::random::{Seed, Stream};

/// A contest with one of several kinds of noise and truth, and what is said of it.
fn contest(path: u64) -> (Estimates, Ranking, bool) {
    let mut stream = Seed::of("agreement").stream(path);
    let one_of = |values: &[f64], stream: &mut Stream| values[stream.below(values.len() as u32) as usize];
    let process = one_of(&[0.003, 0.02, 0.1], &mut stream);
    let alike = stream.chance(0.5);
    let mut truth = TRUTH;
    for (name, ratio, similarity) in &mut truth {
        if *name != "clone" {
            *ratio = one_of(&[1.0, 0.8, 0.5, 0.48, 0.45, 1.0 / 3.0, 0.25], &mut stream);
            *similarity = if alike { 0.95 } else { one_of(&[0.9, 0.93, 0.95, 0.99], &mut stream) };
        }
    }
    let mut run = drawn_run(&format!("agreement {path}"), Extent::Full, &truth, process, |_, _| {});
    if alike {
        run.contest.score.similarity_exponent = 0.0;
    }
    let incumbents = ["quick", "middling", "clone"];
    if stream.chance(0.4) {
        run.contest.incumbent = Some(incumbents[stream.below(3) as usize].to_owned());
        run.contest.rewards.margin = one_of(&[0.0, 0.05, 0.3], &mut stream);
    }
    let mut estimates = estimates(&run);
    if stream.chance(0.3) {
        // Somebody left because of somebody else.
        let out = stream.below(5) as usize + 1;
        estimates.candidates[out].by_session.truncate(3);
        let beaten_by = Some(truth[stream.below(5) as usize + 1].0.to_owned());
        let reason = "its score is surely below another one's".to_owned();
        estimates.candidates[out].stopped =
            Some(StoppedEarly { after_sessions: 3, sessions_saved: 2, reason, beaten_by });
    }
    let ranking = rank(&estimates, &run.contest, &environment(CONFINED));
    (estimates, ranking, alike)
}

#[test]
fn nothing_said_of_a_contest_contradicts_anything_else() {
    let (mut winners, mut ties, mut cuts) = (0, 0, 0);
    for path in 0..80 {
        let (estimates, ranking, alike) = contest(path);
        speeds_agree(&estimates, path);
        scores_agree(&ranking, path);
        winners += u32::from(ranking.winner.is_some());
        ties += u32::from(ranking.verdict.contains("tie for the win"));
        cuts += u32::from(ranking.entries.iter().any(|entry| entry.tier > Some(1)));
        let kept = ranking.verdict.contains("stays the winner");
        let left = estimates.candidates.iter().any(|candidate| candidate.stopped.is_some());
        if alike && !kept && !left {
            speeds_and_scores_agree(&estimates, &ranking, path);
        }
    }
    // All the cases there are did occur.
    assert!(winners > 20 && ties > 5 && cuts > 20, "{winners} {ties} {cuts}");
}

/// Claims, rank sets, tiers and probabilities of being the fastest.
fn speeds_agree(estimates: &Estimates, path: u64) {
    let all = &estimates.candidates;
    let set = |of: &CandidateEstimates| of.rank.unwrap();
    let p_best = |of: &CandidateEstimates| of.p_best.unwrap();
    for a in all {
        assert!(set(a).lower <= set(a).upper, "{path}: {a:?}");
        assert!(set(a).lower == 1 || p_best(a) == 0.0, "{path}: proven slower, and yet {}", p_best(a));
        for b in all.iter().filter(|b| a.tier < b.tier) {
            assert!(set(a).upper < set(b).lower, "{path}: tiers say what rank sets do not");
        }
        assert!(a.claim != Claim::Faster || a.speedup.as_ref().unwrap().lower > Some(1.0), "{path}");
    }
    assert!((all.iter().map(p_best).sum::<f64>() - 1.0).abs() < 1e-9, "{path}");
    let alone: Vec<_> = all.iter().filter(|of| set(of).upper == 1).collect();
    assert!(alone.iter().all(|of| p_best(of) == 1.0), "{path}: surely first, and yet not surely best");
}

/// Positions, tiers, scores, shares, the winner and the sentence.
fn scores_agree(ranking: &Ranking, path: u64) {
    let entries = &ranking.entries;
    let kept = ranking.verdict.contains("stays the winner");
    let tiers: Vec<u32> = entries.iter().filter_map(|entry| entry.tier).collect();
    assert!(tiers.is_sorted() && tiers.first().is_none_or(|tier| *tier == 1), "{path}: {tiers:?}");
    let accepted = |entry: &&RankEntry| entry.standing == Standing::Accepted;
    assert_eq!(entries.iter().filter(accepted).count(), tiers.len(), "{path}");
    // Yesterday's winner may stay with less than others have proven; everybody else has more above.
    let scores: Vec<f64> = entries[usize::from(kept)..].iter().map(|entry| entry.score).collect();
    assert!(scores.windows(2).all(|two| two[0] >= two[1]), "{path}: {scores:?}");
    let weights: Vec<f64> = entries.iter().map(|entry| entry.weight).collect();
    let leaders = tiers.iter().filter(|tier| **tier == 1).count();
    let fit = ranking.fitness == CertificateVerdict::Fit;
    assert_eq!(ranking.winner.is_some(), fit && leaders == 1, "{path}: {}", ranking.verdict);
    if !fit || leaders == 0 {
        assert!(weights.iter().all(|weight| *weight == 0.0), "{path}");
        return;
    }
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{path}: {weights:?}");
    for entry in entries.iter().filter(accepted) {
        let named = ranking.verdict.split([' ', ',']).any(|word| word == entry.name);
        assert_eq!(named, entry.tier == Some(1), "{path}: {} and {}", entry.name, ranking.verdict);
    }
}

/// Where quality earns everybody the same, who is proven faster is proven to earn more.
fn speeds_and_scores_agree(estimates: &Estimates, ranking: &Ranking, path: u64) {
    let of = |entry: &RankEntry| estimates.candidates.iter().find(|c| c.name == entry.name).unwrap();
    let accepted: Vec<&RankEntry> = ranking.entries.iter().filter(|entry| entry.tier.is_some()).collect();
    for a in &accepted {
        for b in &accepted {
            if of(a).tier < of(b).tier {
                assert!(a.tier < b.tier, "{path}: {} is faster than {}, and ties with it", a.name, b.name);
            }
            let proven_slower = of(a).rank.unwrap().lower > of(b).rank.unwrap().upper;
            assert!(a.tier >= b.tier || !proven_slower, "{path}: {} before {}", a.name, b.name);
        }
    }
}
