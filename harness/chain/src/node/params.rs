//! A subnet's hyperparameters, whichever this runtime has, and the facts weights are judged by.

use std::collections::BTreeMap;

use edgemaxx_seal::AccountId;
use subxt::dynamic::Value;

use super::connection::{At, Chain, Link};
use super::fetch::{self, SUBTENSOR, must};
use super::metagraph::{hotkeys, storage_index, vector};
use super::pin::{Pin, at};
use crate::ChainError;
use crate::weights::Facts;
use crate::weights::timelock::Schedule;

/// Entries keyed by netuid that describe a subnet's rules, over all runtimes we know.
const NAMES: &[&str] = &[
    "ActivityCutoff",
    "AdjustmentAlpha",
    "AdjustmentInterval",
    "BlocksSinceLastStep",
    "BondsMovingAverage",
    "Burn",
    "CommitRevealWeightsEnabled",
    "Difficulty",
    "ImmunityPeriod",
    "Kappa",
    "LastEpochBlock",
    "LiquidAlphaOn",
    "MaxAllowedUids",
    "MaxAllowedValidators",
    "MaxBurn",
    "MaxDifficulty",
    "MaxRegistrationsPerBlock",
    "MaxWeightsLimit",
    "MechanismCountCurrent",
    "MinAllowedWeights",
    "MinBurn",
    "MinDifficulty",
    "NetworkRegistrationAllowed",
    "PendingEpochAt",
    "RevealPeriodEpochs",
    "Rho",
    "ServingRateLimit",
    "SubnetEpochConsensus",
    "SubnetworkN",
    "TargetRegistrationsPerInterval",
    "Tempo",
    "WeightsSetRateLimit",
    "WeightsVersionKey",
];

impl Chain {
    /// The subnet's hyperparameters by the chain's names, as far as this runtime has them.
    ///
    /// # Errors
    /// When no endpoint answers or the subnet does not exist.
    pub fn params(&self, pin: &Pin, netuid: u16) -> Result<BTreeMap<String, serde_json::Value>, ChainError> {
        self.read("the hyperparameters", async |link| {
            let at = at(link, pin).await?;
            if !must::<_, bool>(link, &at, "NetworksAdded", (netuid,)).await? {
                return Err(ChainError::NoSubnet(netuid));
            }
            let mut found = BTreeMap::new();
            for name in NAMES.iter().filter(|n| fetch::has(&at, SUBTENSOR, n)) {
                let value: Option<Value> = fetch::value(link, &at, SUBTENSOR, name, (netuid,)).await?;
                if let Some(value) = value {
                    found.insert((*name).to_owned(), json(&value));
                }
            }
            Ok(found)
        })
    }

    /// The version key that the subnet demands of weights at `pin`.
    ///
    /// # Errors
    /// When no endpoint answers or the subnet does not exist.
    pub fn version_key(&self, pin: &Pin, netuid: u16) -> Result<u64, ChainError> {
        self.read("the version key", async |link| {
            let at = at(link, pin).await?;
            if !must::<_, bool>(link, &at, "NetworksAdded", (netuid,)).await? {
                return Err(ChainError::NoSubnet(netuid));
            }
            must(link, &at, "WeightsVersionKey", (netuid,)).await
        })
    }

    /// The block at which weights committed in block `set` are revealed at the latest; `None`: the subnet sets
    /// weights in the open.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn revealed_by(&self, pin: &Pin, netuid: u16, set: u64) -> Result<Option<u64>, ChainError> {
        self.read("the reveal period", async |link| {
            let at = at(link, pin).await?;
            if !must::<_, bool>(link, &at, "CommitRevealWeightsEnabled", (netuid,)).await? {
                return Ok(None);
            }
            let tempo: u16 = must(link, &at, "Tempo", (netuid,)).await?;
            let period: u64 = optional(link, &at, "RevealPeriodEpochs", netuid).await?.unwrap_or(1);
            // The rest of the epoch, and as many whole ones as the period has.
            Ok(Some(set.saturating_add((u64::from(tempo) + 1).saturating_mul(period.saturating_add(1)))))
        })
    }
}

/// What decides whether `hotkey` may set weights on a mechanism now.
pub(super) async fn facts(
    link: &Link,
    at: &At,
    netuid: u16,
    mechanism: u8,
    hotkey: &AccountId,
) -> Result<Facts, ChainError> {
    let all = hotkeys(link, at, netuid).await?;
    let uid = all.iter().position(|h| h == hotkey);
    let permits: Vec<bool> = vector(link, at, "ValidatorPermit", netuid, all.len()).await?;
    let mechanisms: Option<u8> = optional(link, at, "MechanismCountCurrent", netuid).await?;
    // The vector of a mechanism that does not exist is empty; its absence is the preflight's to tell.
    let index = storage_index(netuid, mechanism);
    let updates: Vec<u64> = if mechanism < mechanisms.unwrap_or(1) {
        vector(link, at, "LastUpdate", index, all.len()).await?
    } else {
        Vec::new()
    };
    let coldkey: Option<[u8; 32]> = fetch::value(link, at, SUBTENSOR, "Owner", (hotkey.0,)).await?;
    let owner: Option<[u8; 32]> = optional(link, at, "SubnetOwner", netuid).await?;
    Ok(Facts {
        block: at.block_number(),
        // At most 65536 uids fit the type of SubnetworkN.
        neurons: all.len() as u16,
        mechanisms,
        uid: uid.map(|i| i as u16),
        owner: coldkey.is_some() && coldkey == owner,
        stake: stake(link, at, hotkey).await?,
        permit: uid.is_some_and(|i| permits[i]),
        version_key: must(link, at, "WeightsVersionKey", (netuid,)).await?,
        last_update: uid.and_then(|i| updates.get(i).copied()).unwrap_or(0),
        rate_limit: must(link, at, "WeightsSetRateLimit", (netuid,)).await?,
        min_weights: must(link, at, "MinAllowedWeights", (netuid,)).await?,
        max_weight: optional(link, at, "MaxWeightsLimit", netuid).await?.unwrap_or(u16::MAX),
        commit_reveal: must(link, at, "CommitRevealWeightsEnabled", (netuid,)).await?,
    })
}

/// Stake and minimum in RAO where the runtime compares these two numbers; newer runtimes weigh several kinds
/// of stake, which is left to them.
async fn stake(link: &Link, at: &At, hotkey: &AccountId) -> Result<Option<(u64, u64)>, ChainError> {
    if !fetch::has(at, SUBTENSOR, "WeightsMinStake") || !fetch::has(at, SUBTENSOR, "TotalHotkeyStake") {
        return Ok(None);
    }
    let minimum: u64 = must(link, at, "WeightsMinStake", ()).await?;
    let stake: u64 = must(link, at, "TotalHotkeyStake", (hotkey.0,)).await?;
    Ok(Some((stake, minimum)))
}

/// The epochs' schedule and the reveal period.
pub(super) async fn schedule(link: &Link, at: &At, netuid: u16) -> Result<(Schedule, u64), ChainError> {
    let tempo: u16 = must(link, at, "Tempo", (netuid,)).await?;
    let tempo = tempo as u64;
    let period: u64 = optional(link, at, "RevealPeriodEpochs", netuid).await?.unwrap_or(1);
    let last: Option<u64> = optional(link, at, "LastEpochBlock", netuid).await?;
    let pending: Option<u64> = optional(link, at, "PendingEpochAt", netuid).await?;
    let schedule = match last {
        Some(last_epoch) => Schedule::Stateful { last_epoch, pending: pending.unwrap_or(0), tempo },
        None => Schedule::Modular { netuid, tempo },
    };
    Ok((schedule, period))
}

/// Seconds per block, from the runtime's own constant; twelve where it has none.
pub(super) fn block_seconds(at: &At) -> f64 {
    let address = subxt::dynamic::constant::<u64>("Aura", "SlotDuration");
    at.constants().entry(address).map_or(12.0, |ms| ms as f64 / 1000.0)
}

/// An entry that only some runtimes have.
async fn optional<V: subxt::ext::scale_decode::DecodeAsType>(
    link: &Link,
    at: &At,
    entry: &str,
    netuid: u16,
) -> Result<Option<V>, ChainError> {
    if fetch::has(at, SUBTENSOR, entry) {
        fetch::value(link, at, SUBTENSOR, entry, (netuid,)).await
    } else {
        Ok(None)
    }
}

/// A decoded value as JSON; numbers beyond 2^53 as text, so that no reader rounds them.
fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    use subxt::ext::scale_value::{Composite, Primitive, ValueDef};
    let all = |c: &Composite<()>| c.values().map(json).collect::<Vec<_>>();
    match &value.value {
        ValueDef::Primitive(Primitive::Bool(b)) => Json::Bool(*b),
        ValueDef::Primitive(Primitive::U128(n)) if *n <= 1 << 53 => Json::from(*n as u64),
        ValueDef::Primitive(Primitive::I128(n)) if n.unsigned_abs() <= 1 << 53 => Json::from(*n as i64),
        ValueDef::Primitive(Primitive::U128(n)) => Json::String(n.to_string()),
        ValueDef::Primitive(Primitive::I128(n)) => Json::String(n.to_string()),
        ValueDef::Primitive(Primitive::String(s)) => Json::String(s.clone()),
        ValueDef::Variant(v) if v.values.is_empty() => Json::String(v.name.clone()),
        ValueDef::Variant(v) => {
            Json::Object([(v.name.clone(), Json::Array(all(&v.values)))].into_iter().collect())
        }
        // A newtype is its content.
        ValueDef::Composite(c) if c.len() == 1 => c.values().next().map_or(Json::Null, json),
        ValueDef::Composite(Composite::Named(fields)) => {
            Json::Object(fields.iter().map(|(name, v)| (name.clone(), json(v))).collect())
        }
        ValueDef::Composite(c) => Json::Array(all(c)),
        other => Json::String(format!("{other:?}")),
    }
}
