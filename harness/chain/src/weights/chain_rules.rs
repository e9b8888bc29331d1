//! The chain's rules for weights, in the chain's order, checked before anything is signed.
//! Each rule is named as the chain's error is, so that an answer before and after submission reads alike.

use std::fmt;

use serde::Serialize;

use crate::amount::tao;

/// A rule of the chain, by the name of the error that breaking it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Rule {
    /// The mechanism must exist.
    MechanismDoesNotExist,
    /// Plain weights are refused where commit–reveal is on.
    CommitRevealEnabled,
    /// Timelocked weights are refused where commit–reveal is off.
    CommitRevealDisabled,
    /// Not more weights than neurons.
    UidsLengthExceedUidsInSubNet,
    /// The hotkey must be registered on the subnet.
    HotKeyNotRegisteredInSubNet,
    /// The hotkey needs the minimum stake, unless the coldkey owns the subnet.
    NotEnoughStakeToSetWeights,
    /// The version key must not be older than the subnet's.
    IncorrectWeightVersionKey,
    /// The rate limit since the last update.
    SettingWeightsTooFast,
    /// The neuron needs a validator permit.
    NeuronNoValidatorPermit,
    /// No uid twice.
    DuplicateUids,
    /// Every uid must exist.
    UidVecContainInvalidOne,
    /// At least `min(n, MinAllowedWeights)` weights.
    WeightVecLengthIsLow,
    /// No weight above the subnet's share.
    MaxWeightExceeded,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A broken rule, with the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// The numbers, and what to do.
    pub detail: String,
}

/// What the chain knows about the setter and the subnet, all at one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Height the facts were read at.
    pub block: u64,
    /// Neurons on the subnet.
    pub neurons: u16,
    /// Mechanisms of the subnet; `None` on chains that know none.
    pub mechanisms: Option<u8>,
    /// The setter's uid, if registered.
    pub uid: Option<u16>,
    /// Whether the setter's coldkey owns the subnet (then no minimum stake).
    pub owner: bool,
    /// The setter's stake in RAO, and the minimum, as far as this chain tells them.
    pub stake: Option<(u64, u64)>,
    /// The setter's validator permit.
    pub permit: bool,
    /// The subnet's required version key.
    pub version_key: u64,
    /// Block of the setter's last weights on this mechanism, 0 if never.
    pub last_update: u64,
    /// Blocks demanded between two settings.
    pub rate_limit: u64,
    /// Fewest weights accepted.
    pub min_weights: u16,
    /// Largest share one weight may have, of 65535.
    pub max_weight: u16,
    /// Whether weights must be committed timelocked.
    pub commit_reveal: bool,
}

/// All rules this call would break. Empty: the chain should accept it.
pub fn preflight(
    facts: &Facts,
    mechanism: u8,
    weights: &[(u16, u16)],
    version_key: u64,
    timelocked: bool,
) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut demand = |holds: bool, rule: Rule, detail: String| {
        if !holds {
            broken.push(Violation { rule, detail });
        }
    };
    let mechanisms = facts.mechanisms.unwrap_or(1);
    demand(
        mechanism < mechanisms,
        Rule::MechanismDoesNotExist,
        format!("mechanism {mechanism}, the subnet has {mechanisms}, numbered from 0"),
    );
    demand(
        timelocked || !facts.commit_reveal,
        Rule::CommitRevealEnabled,
        "the subnet takes weights timelocked only; let the method be chosen automatically".into(),
    );
    demand(
        !timelocked || facts.commit_reveal,
        Rule::CommitRevealDisabled,
        "the subnet takes plain weights only; let the method be chosen automatically".into(),
    );
    demand(
        weights.len() <= facts.neurons as usize,
        Rule::UidsLengthExceedUidsInSubNet,
        format!("{} weights, the subnet has {} neurons", weights.len(), facts.neurons),
    );
    demand(
        facts.uid.is_some(),
        Rule::HotKeyNotRegisteredInSubNet,
        "register it with `btcli subnets register`".into(),
    );
    if let Some((stake, minimum)) = facts.stake {
        demand(
            facts.owner || stake >= minimum,
            Rule::NotEnoughStakeToSetWeights,
            format!("stake {} TAO, {} demanded; add stake to the hotkey", tao(stake), tao(minimum)),
        );
    }
    demand(
        version_key >= facts.version_key,
        Rule::IncorrectWeightVersionKey,
        format!(
            "version key {version_key}, {} demanded; update this program or pass --version-key",
            facts.version_key
        ),
    );
    let since = facts.block.saturating_sub(facts.last_update);
    demand(
        facts.last_update == 0 || since >= facts.rate_limit,
        Rule::SettingWeightsTooFast,
        format!(
            "last set {since} blocks ago, {} demanded; wait {} blocks (about {} s)",
            facts.rate_limit,
            facts.rate_limit.saturating_sub(since),
            facts.rate_limit.saturating_sub(since).saturating_mul(12)
        ),
    );
    // One weight for oneself is exempt from the permit, the count and the share.
    let own = matches!(weights, [(uid, _)] if facts.uid == Some(*uid));
    demand(
        own || facts.permit,
        Rule::NeuronNoValidatorPermit,
        "the hotkey holds no validator permit; it takes enough stake at the last epoch".into(),
    );
    let mut sorted: Vec<u16> = weights.iter().map(|&(uid, _)| uid).collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        demand(false, Rule::DuplicateUids, format!("uid {} is named twice", pair[0]));
    }
    if let Some(uid) = sorted.last().filter(|&&uid| uid >= facts.neurons) {
        demand(
            false,
            Rule::UidVecContainInvalidOne,
            format!("uid {uid}, the subnet's last is {}", facts.neurons.saturating_sub(1)),
        );
    }
    let least = facts.min_weights.min(facts.neurons);
    demand(
        own || weights.len() >= least as usize,
        Rule::WeightVecLengthIsLow,
        format!("{} weights, at least {least} demanded", weights.len()),
    );
    let sum: u64 = weights.iter().map(|&(_, v)| v as u64).sum();
    let top = weights.iter().map(|&(_, v)| v as u64).max().unwrap_or(0);
    demand(
        own || facts.max_weight == u16::MAX || top * 65535 <= facts.max_weight as u64 * sum,
        Rule::MaxWeightExceeded,
        format!(
            "the largest share is {top}/{sum}, at most {}/65535 is allowed; spread the weights",
            facts.max_weight
        ),
    );
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            block: 1000,
            neurons: 8,
            mechanisms: Some(1),
            uid: Some(0),
            owner: false,
            stake: Some((1000, 1000)),
            permit: true,
            version_key: 7,
            last_update: 900,
            rate_limit: 100,
            min_weights: 2,
            max_weight: 40000,
            commit_reveal: false,
        }
    }

    const GOOD: &[(u16, u16)] = &[(1, 65535), (2, 65535)];

    fn broken(change: impl Fn(&mut Facts), weights: &[(u16, u16)], key: u64) -> Vec<Rule> {
        let mut facts = good();
        change(&mut facts);
        preflight(&facts, 0, weights, key, false).into_iter().map(|v| v.rule).collect()
    }

    #[test]
    fn a_good_call_breaks_no_rule_and_each_rule_is_broken_alone_at_its_boundary() {
        assert_eq!(broken(|_| {}, GOOD, 7), []);
        assert_eq!(broken(|f| f.commit_reveal = true, GOOD, 7), [Rule::CommitRevealEnabled]);
        assert_eq!(broken(|f| f.uid = None, GOOD, 7), [Rule::HotKeyNotRegisteredInSubNet]);
        assert_eq!(broken(|f| f.stake = Some((999, 1000)), GOOD, 7), [Rule::NotEnoughStakeToSetWeights]);
        assert_eq!(
            broken(
                |f| {
                    f.stake = Some((0, 1));
                    f.owner = true
                },
                GOOD,
                7
            ),
            []
        );
        assert_eq!(broken(|_| {}, GOOD, 6), [Rule::IncorrectWeightVersionKey]);
        assert_eq!(broken(|f| f.block = 999, GOOD, 7), [Rule::SettingWeightsTooFast]);
        assert_eq!(
            broken(
                |f| {
                    f.block = 1;
                    f.last_update = 0
                },
                GOOD,
                7
            ),
            []
        );
        assert_eq!(broken(|f| f.permit = false, GOOD, 7), [Rule::NeuronNoValidatorPermit]);
        assert_eq!(broken(|_| {}, &[(2, 65535), (2, 65535)], 7), [Rule::DuplicateUids]);
        assert_eq!(broken(|_| {}, &[(2, 65535), (8, 65535)], 7), [Rule::UidVecContainInvalidOne]);
        assert_eq!(broken(|f| f.max_weight = u16::MAX, &[(2, 65535)], 7), [Rule::WeightVecLengthIsLow]);
        assert_eq!(broken(|_| {}, &[(1, 65535), (2, 30000)], 7), [Rule::MaxWeightExceeded]);
        let many: Vec<_> = (0..9).map(|uid| (uid % 8, 65535)).collect();
        assert_eq!(broken(|_| {}, &many, 7), [Rule::UidsLengthExceedUidsInSubNet, Rule::DuplicateUids]);
    }

    #[test]
    fn one_weight_for_oneself_needs_no_permit() {
        assert_eq!(broken(|f| f.permit = false, &[(0, 65535)], 7), []);
    }

    #[test]
    fn mechanisms_and_methods_are_checked() {
        let rules = |facts: &Facts, mechanism, timelocked| -> Vec<Rule> {
            preflight(facts, mechanism, GOOD, 7, timelocked).into_iter().map(|v| v.rule).collect()
        };
        assert_eq!(rules(&good(), 1, false), [Rule::MechanismDoesNotExist]);
        assert_eq!(rules(&good(), 0, true), [Rule::CommitRevealDisabled]);
        let facts = Facts { commit_reveal: true, mechanisms: None, ..good() };
        assert_eq!(rules(&facts, 0, true), []);
    }

    #[test]
    fn the_answer_says_how_long_to_wait() {
        let facts = Facts { block: 950, ..good() };
        let shown = preflight(&facts, 0, GOOD, 7, false)[0].to_string();
        assert_eq!(
            shown,
            "SettingWeightsTooFast: last set 50 blocks ago, 100 demanded; wait 50 blocks (about 600 s)"
        );
    }
}
