//! Whether a hotkey could set weights or commit, whatever they are: asked long before, so that nobody works in vain.

use edgemaxx_seal::AccountId;
use serde::Serialize;
use subxt::dynamic;

use super::commitments::PALLET;
use super::connection::{At, Chain, Link};
use super::fetch::{self, SUBTENSOR};
use super::params::facts;
use super::pin::{Pin, at};
use crate::ChainError;
use crate::weights::{Facts, Rule, Violation, preflight};

/// What keeps a hotkey from setting weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hindrance {
    /// The rule, and what to do.
    pub violation: Violation,
    /// The block from which on the rule holds by itself; `None`: it stays broken until somebody does something.
    pub until: Option<u64>,
}

/// Rules that are about who sets weights and when, not about which.
const OF_THE_SETTER: [Rule; 4] = [
    Rule::HotKeyNotRegisteredInSubNet,
    Rule::NotEnoughStakeToSetWeights,
    Rule::SettingWeightsTooFast,
    Rule::NeuronNoValidatorPermit,
];

impl Chain {
    /// What keeps `hotkey` from setting weights of a subnet, whatever they are; empty: nothing that can be foretold.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn hindrances(
        &self,
        pin: &Pin,
        netuid: u16,
        hotkey: &AccountId,
    ) -> Result<Vec<Hindrance>, ChainError> {
        self.read("what setting weights depends on", async |link| {
            let at = at(link, pin).await?;
            let mut facts = facts(link, &at, netuid, 0, hotkey).await?;
            if facts.stake.is_none() {
                facts.stake = own_stake(link, &at, netuid, hotkey).await?;
            }
            Ok(of_the_setter(&facts))
        })
    }

    /// The block from which on the chain takes the next commitment of `hotkey`, if that is a later one than `pin`.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn commits_from(
        &self,
        pin: &Pin,
        netuid: u16,
        hotkey: &AccountId,
    ) -> Result<Option<u64>, ChainError> {
        self.read("when the hotkey may commit", async |link| {
            let at = at(link, pin).await?;
            // Newer runtimes count bytes instead, and say no where they are too many.
            let limit = dynamic::constant::<u32>(PALLET, "RateLimit");
            let Ok(limit) = at.constants().entry(limit) else { return Ok(None) };
            if !fetch::has(&at, PALLET, "LastCommitment") {
                return Ok(None);
            }
            let last: Option<u32> =
                fetch::value(link, &at, PALLET, "LastCommitment", (netuid, hotkey.0)).await?;
            let from = last.map(|last| u64::from(last) + u64::from(limit));
            // The call is executed in the block after this one, at the earliest.
            Ok(from.filter(|from| *from > pin.number + 1))
        })
    }
}

fn of_the_setter(facts: &Facts) -> Vec<Hindrance> {
    let broken = preflight(facts, 0, &[], facts.version_key, facts.commit_reveal);
    let about = broken.into_iter().filter(|violation| OF_THE_SETTER.contains(&violation.rule));
    about
        .map(|violation| Hindrance {
            until: (violation.rule == Rule::SettingWeightsTooFast)
                .then(|| facts.last_update.saturating_add(facts.rate_limit)),
            violation,
        })
        .collect()
}

/// Stake and minimum in RAO of a runtime with subnet tokens, where they are the hotkey's own: what parents lend and children
/// borrow is left to the chain.
async fn own_stake(
    link: &Link,
    at: &At,
    netuid: u16,
    hotkey: &AccountId,
) -> Result<Option<(u64, u64)>, ChainError> {
    let needed = ["TotalHotkeyAlpha", "WeightsMinStake", "TaoWeight", "ParentKeys", "ChildKeys"];
    if !needed.iter().all(|entry| fetch::has(at, SUBTENSOR, entry)) {
        return Ok(None);
    }
    for entry in ["ParentKeys", "ChildKeys"] {
        for netuid in [0, netuid] {
            let kin: Option<Vec<(u64, [u8; 32])>> =
                fetch::value(link, at, SUBTENSOR, entry, (hotkey.0, netuid)).await?;
            if kin.is_some_and(|kin| !kin.is_empty()) {
                return Ok(None);
            }
        }
    }
    let minimum: u64 = fetch::must(link, at, "WeightsMinStake", ()).await?;
    // One for all subnets, or one for each: that differs from runtime to runtime.
    let share: u64 = match fetch::must(link, at, "TaoWeight", ()).await {
        Err(ChainError::Decode { .. }) => fetch::must(link, at, "TaoWeight", (netuid,)).await?,
        found => found?,
    };
    let own: u64 = fetch::must(link, at, "TotalHotkeyAlpha", (hotkey.0, netuid)).await?;
    let root: u64 = fetch::must(link, at, "TotalHotkeyAlpha", (hotkey.0, 0u16)).await?;
    let weighed = u128::from(own) + ((u128::from(root) * u128::from(share)) >> 64);
    Ok(Some((u64::try_from(weighed).unwrap_or(u64::MAX), minimum)))
}
