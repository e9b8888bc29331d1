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
        // Who left because of whom is proven at its own risk, which the comparisons leave to it.
        let level =
            if last.is_some() { score.level + RISK.min((1.0 - score.level) / 2.0) } else { score.level };
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
