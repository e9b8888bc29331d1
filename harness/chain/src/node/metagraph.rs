//! Who is on a subnet, at one block.

use edgemaxx_seal::AccountId;
use serde::Serialize;

use super::connection::{At, Chain, Link};
use super::fetch::{self, SUBTENSOR, must};
use super::pin::{Pin, at};
use crate::ChainError;

/// Mechanism `m` of subnet `n` keeps its vectors at index `m · 4096 + n`.
const MECHANISM_STRIDE: u16 = 4096;

/// One neuron.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Neuron {
    /// Its number, reassigned when it is deregistered.
    pub uid: u16,
    /// Its lasting identity.
    pub hotkey: AccountId,
    /// Its owner.
    pub coldkey: AccountId,
    /// Whether it may set weights for others.
    pub permit: bool,
    /// Stake on the hotkey: RAO before subnet tokens, the subnet's alpha (in its smallest unit) since.
    pub stake: u64,
    /// Block of its last weights.
    pub last_update: u64,
    /// Block of its registration.
    pub registered_at: u64,
}

/// A subnet's neurons, ascending by uid, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metagraph {
    /// The subnet.
    pub netuid: u16,
    /// The block.
    pub pin: Pin,
    /// All neurons.
    pub neurons: Vec<Neuron>,
}

impl Metagraph {
    /// The neuron with this hotkey.
    pub fn by_hotkey(&self, hotkey: &AccountId) -> Option<&Neuron> {
        self.neurons.iter().find(|n| n.hotkey == *hotkey)
    }
}

impl Chain {
    /// All neurons of `netuid` at `pin`.
    ///
    /// # Errors
    /// When no endpoint gives a complete answer: a list shorter than the subnet's own count is refused.
    pub fn metagraph(&self, pin: &Pin, netuid: u16) -> Result<Metagraph, ChainError> {
        self.read("the metagraph", async |link| {
            let at = at(link, pin).await?;
            let hotkeys = hotkeys(link, &at, netuid).await?;
            let neurons = neurons(link, &at, netuid, &hotkeys).await?;
            Ok(Metagraph { netuid, pin: *pin, neurons })
        })
    }
}

/// The neurons behind these hotkeys.
pub(super) async fn neurons(
    link: &Link,
    at: &At,
    netuid: u16,
    hotkeys: &[AccountId],
) -> Result<Vec<Neuron>, ChainError> {
    let accounts = || hotkeys.iter().map(|h| (h.0,));
    let (owners, stakes, permits, updates, registered) = tokio::try_join!(
        fetch::many::<_, [u8; 32]>(link, at, SUBTENSOR, "Owner", accounts()),
        stakes(link, at, netuid, hotkeys),
        vector::<bool>(link, at, "ValidatorPermit", netuid, hotkeys.len()),
        vector::<u64>(link, at, "LastUpdate", netuid, hotkeys.len()),
        fetch::below::<(u16, u16), _, u64>(link, at, SUBTENSOR, "BlockAtRegistration", (netuid,)),
    )?;
    let mut registered: Vec<(u16, u64)> =
        registered.into_iter().map(|((_, uid), block)| (uid, block)).collect();
    registered.sort_unstable();
    let mut neurons = Vec::with_capacity(hotkeys.len());
    for (i, hotkey) in hotkeys.iter().enumerate() {
        let uid = i as u16;
        let coldkey = owners[i].ok_or_else(|| ChainError::Contradiction {
            endpoint: link.endpoint.clone(),
            what: format!("owner of hotkey {hotkey} (uid {uid})"),
            expected: "an account".into(),
            found: "none".into(),
        })?;
        let found = registered.binary_search_by_key(&uid, |&(uid, _)| uid);
        neurons.push(Neuron {
            uid,
            hotkey: *hotkey,
            coldkey: AccountId(coldkey),
            permit: permits[i],
            stake: stakes[i].unwrap_or(0),
            last_update: updates[i],
            // A value of 0, the default, is not stored.
            registered_at: found.map_or(0, |at| registered[at].1),
        });
    }
    Ok(neurons)
}

/// The subnet's hotkeys by uid, complete.
pub(super) async fn hotkeys(link: &Link, at: &At, netuid: u16) -> Result<Vec<AccountId>, ChainError> {
    let exists: bool = must(link, at, "NetworksAdded", (netuid,)).await?;
    if !exists {
        return Err(ChainError::NoSubnet(netuid));
    }
    let count: u16 = must(link, at, "SubnetworkN", (netuid,)).await?;
    let mut keys: Vec<(u16, [u8; 32])> =
        fetch::below::<(u16, u16), _, _>(link, at, SUBTENSOR, "Keys", (netuid,))
            .await?
            .into_iter()
            .map(|((_, uid), key)| (uid, key))
            .collect();
    keys.sort_unstable();
    // The guard against maps that come back short or empty without an error.
    let complete =
        keys.len() == count as usize && keys.iter().enumerate().all(|(i, (uid, _))| i == *uid as usize);
    if !complete {
        return Err(ChainError::Contradiction {
            endpoint: link.endpoint.clone(),
            what: format!("hotkeys of netuid {netuid}"),
            expected: format!("{count} with uids from 0, as SubnetworkN says"),
            found: format!("{}", keys.len()),
        });
    }
    Ok(keys.into_iter().map(|(_, key)| AccountId(key)).collect())
}

/// A per-neuron vector of a subnet (or of one of its mechanisms), of the length it must have.
pub(super) async fn vector<T>(
    link: &Link,
    at: &At,
    entry: &str,
    index: u16,
    length: usize,
) -> Result<Vec<T>, ChainError>
where
    Vec<T>: subxt::ext::scale_decode::DecodeAsType,
{
    let values: Vec<T> = must(link, at, entry, (index,)).await?;
    if values.len() != length {
        return Err(ChainError::Contradiction {
            endpoint: link.endpoint.clone(),
            what: format!("{entry} at {index}"),
            expected: format!("{length} values, one per neuron"),
            found: values.len().to_string(),
        });
    }
    Ok(values)
}

async fn stakes(
    link: &Link,
    at: &At,
    netuid: u16,
    hotkeys: &[AccountId],
) -> Result<Vec<Option<u64>>, ChainError> {
    if fetch::has(at, SUBTENSOR, "TotalHotkeyAlpha") {
        let keys = hotkeys.iter().map(|h| (h.0, netuid));
        return fetch::many(link, at, SUBTENSOR, "TotalHotkeyAlpha", keys).await;
    }
    fetch::many(link, at, SUBTENSOR, "TotalHotkeyStake", hotkeys.iter().map(|h| (h.0,))).await
}

/// Index of a mechanism's vectors and weights.
pub(super) fn storage_index(netuid: u16, mechanism: u8) -> u16 {
    (mechanism as u16).saturating_mul(MECHANISM_STRIDE).saturating_add(netuid)
}
