//! The order of the accepted: who is proven to earn more than whom, hence tiers; and whether
//! yesterday's winner stays.

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::estimate::{CandidateEstimates, Estimates};

use crate::elimination::RISK;
use crate::inference::earnings::{Earner, QualityFactor, compare_earnings};
use crate::inference::proofs::Proofs;

/// The accepted in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// Who stands where: indices into what was ordered.
    pub(super) places: Vec<usize>,
    /// The tier at each place, 1 the best.
    pub(super) tiers: Vec<u32>,
    /// The score at each place: what is proven, of itself or of one that is proven to earn less.
    pub(super) scores: Vec<f64>,
    /// Whether yesterday's winner stands first although others are not proven to earn less.
    pub(super) kept: bool,
}

impl Order {
    /// Orders the accepted, each with its own proven score.
    ///
    /// Tiers are cut by direct comparisons of all pairs ([`Proofs`]); within a tier the proven score
    /// decides who is named first. Yesterday's winner stands first and alone unless somebody is proven
    /// to earn more by the contest's margin: the same test, in the same family.
    pub(super) fn of(
        accepted: &[(&CandidateEstimates, f64)],
        estimates: &Estimates,
        contest: &Contest,
    ) -> Self {
        let score = &contest.score;
        let factor = QualityFactor { gate: score.similarity_gate, exponent: score.similarity_exponent };
        let earners: Vec<Earner> = accepted.iter().map(|(of, _)| earner(of, factor)).collect();
        let earned: Vec<f64> = earners.iter().map(|earner| earner.estimate(factor)).collect();
        // Best first, as estimated: every test then asks by how much the better one leads.
        let mut places: Vec<usize> = (0..accepted.len()).collect();
        let by_name = |a: usize, b: usize| accepted[a].0.name.cmp(&accepted[b].0.name);
        places.sort_by(|&a, &b| earned[b].total_cmp(&earned[a]).then(by_name(a, b)));
        let ordered: Vec<&CandidateEstimates> = places.iter().map(|&at| accepted[at].0).collect();
        let incumbent = ordered.iter().position(|of| Some(&of.name) == contest.incumbent.as_ref());

        let last = estimates.looks.map(|looks| looks.last as usize);
        let level = level_of_comparisons(score.level, last.is_some());
        let prove = |margin: f64| {
            let asked = |a: usize, b: usize| {
                let (first, second) = (&earners[places[a]], &earners[places[b]]);
                match incumbent {
                    // By the margin less than the other is what the incumbent must not earn.
                    Some(at) if at == b => compare_earnings(first, second, factor, 1.0 + margin),
                    _ => compare_earnings(first, second, factor, 1.0),
                }
            };
            Proofs::of(ordered.len(), level, last, asked).with(beaten(&ordered))
        };
        let proofs = prove(0.0);
        let kept = incumbent.filter(|&at| prove(contest.rewards.margin).can_be_first(at));
        let mut tiers = match kept {
            None => proofs.tiers(&(0..ordered.len()).collect::<Vec<_>>()),
            Some(at) => {
                let others: Vec<usize> = (0..ordered.len()).filter(|&other| other != at).collect();
                let mut tiers = proofs.tiers(&others);
                others.iter().for_each(|&other| tiers[other] += 1);
                tiers[at] = 1;
                tiers
            }
        };

        let own = |place: usize| accepted[places[place]].1;
        let mut order: Vec<usize> = (0..ordered.len()).collect();
        order.sort_by(|&a, &b| tiers[a].cmp(&tiers[b]).then(own(b).total_cmp(&own(a))));
        tiers = order.iter().map(|&place| tiers[place]).collect();
        let mut scores: Vec<f64> = order.iter().map(|&place| own(place)).collect();
        // Who is proven to earn more than another has proven at least what that one has.
        for place in (usize::from(kept.is_some())..scores.len().saturating_sub(1)).rev() {
            scores[place] = scores[place].max(scores[place + 1]);
        }
        Self {
            places: order.into_iter().map(|place| places[place]).collect(),
            tiers,
            scores,
            kept: kept.is_some(),
        }
    }
}

/// Who left a race because of whom is proven at a risk of its own, which the comparisons leave to it.
fn level_of_comparisons(level: f64, race: bool) -> f64 {
    if race { level + RISK.min((1.0 - level) / 2.0) } else { level }
}

fn earner(of: &CandidateEstimates, factor: QualityFactor) -> Earner {
    let mut earner = Earner { rounds: Vec::new(), speeds: Vec::new(), similarities: Vec::new() };
    for session in &of.by_session {
        if factor.exponent != 0.0 {
            let Some(similarity) = session.similarity else { continue };
            earner.similarities.push(similarity);
        }
        earner.rounds.push(session.round);
        earner.speeds.push(-session.log_ratio);
    }
    earner
}

/// Who left the race because of whom, best first.
fn beaten(ordered: &[&CandidateEstimates]) -> Vec<(usize, usize)> {
    let place = |name: &str| ordered.iter().position(|of| of.name == name);
    let pair = |(at, of): (usize, &&CandidateEstimates)| {
        Some((place(of.stopped.as_ref()?.beaten_by.as_deref()?)?, at))
    };
    ordered.iter().enumerate().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::estimate::{SessionEvidence, StoppedEarly};
    use edgemaxx_contract::plan::Extent;

    use super::super::tests::simulated::{estimates, noisy_run};
    use super::*;

    /// Who earns what from round to round, where speed alone earns, and whether yesterday's winner `old` stays. Those who gain
    /// so much over the baseline scatter by so much.
    fn kept(gains: [(&str, f64, f64); 3], margin: f64) -> bool {
        let mut run = noisy_run("order", Extent::Full, |_, _| {});
        run.contest.score.similarity_exponent = 0.0;
        run.contest.incumbent = Some("old".to_owned());
        run.contest.rewards.margin = margin;
        let mut found = estimates(&run);
        found.looks = None;
        for (of, (place, (name, gain, scatter))) in found.candidates.iter_mut().zip((0..).zip(gains)) {
            name.clone_into(&mut of.name);
            // Deviations whose SD is 1, in another order for each.
            let mut own = [2.0, -1.0, 0.0, 1.0, -2.0].map(|step: f64| step / 2.5_f64.sqrt());
            own.rotate_left(place);
            let session = |(round, own): (u32, f64)| SessionEvidence {
                round,
                log_ratio: -gain.ln_1p() - scatter * own,
                similarity: None,
            };
            of.by_session = (0..).zip(own).map(session).collect();
        }
        let accepted: Vec<(&CandidateEstimates, f64)> =
            found.candidates.iter().take(3).map(|of| (of, 0.1)).collect();
        Order::of(&accepted, &found, &run.contest).kept
    }

    #[test]
    fn yesterdays_winner_leaves_for_who_is_proven_to_earn_more_by_the_margin() {
        for (gain, margin, stays) in
            [(1.0, 0.0, true), (1.1, 0.0, false), (1.1, 0.05, false), (1.1, 0.3, true), (1.5, 0.3, false)]
        {
            let gains = [("new", gain, 0.001), ("old", 1.0, 0.001), ("last", 0.2, 0.001)];
            assert_eq!(kept(gains, margin), stays, "{gain} against 1 and {margin}");
        }
    }

    /// The margin is asked of who would replace the winner, and not among others: `next` is proven to earn less than `new` by
    /// less than the margin, which leaves one pair fewer that could be equal, and enough for the last one.
    #[test]
    fn others_are_compared_without_the_margin() {
        let gains = [("new", 2.0, 0.001), ("next", 2.0 / 1.1, 0.001), ("old", 1.2, 0.1354)];
        assert!(!kept(gains, 0.1));
    }

    #[test]
    fn who_left_because_of_somebody_in_the_order_is_behind_him() {
        let mut found = estimates(&noisy_run("order", Extent::Full, |_, _| {}));
        let all: Vec<String> = found.candidates.iter().map(|of| of.name.clone()).collect();
        for (left, because_of) in [(2, all[1].as_str()), (3, "nobody here"), (1, all[4].as_str())] {
            found.candidates[left].stopped = Some(StoppedEarly {
                after_sessions: 3,
                sessions_saved: 2,
                reason: String::new(),
                beaten_by: Some(because_of.to_owned()),
            });
        }
        assert_eq!(beaten(&found.candidates.iter().collect::<Vec<_>>()), [(4, 1), (1, 2)]);
    }

    #[test]
    fn a_race_leaves_a_part_of_the_error_to_who_left_it() {
        for (level, race, expected) in
            [(0.95, false, 0.95), (0.95, true, 0.965), (0.99, false, 0.99), (0.99, true, 0.995)]
        {
            assert!((level_of_comparisons(level, race) - expected).abs() < 1e-12, "{level} {race}");
        }
    }
}
