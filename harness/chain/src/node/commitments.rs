//! All commitments of a subnet, each with its own block, whoever made them.

use std::collections::BTreeSet;

use edgemaxx_seal::AccountId;
use serde::Serialize;
use subxt::dynamic::Value;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::ext::scale_value::{Composite, Primitive, ValueDef};

use super::connection::{At, Chain, Link};
use super::fetch;
use super::metagraph::hotkeys;
use super::pin::{Pin, at};
use crate::ChainError;
use crate::commitment::{Commitment, Unreadable, read};

pub(super) const PALLET: &str = "Commitments";
const ENTRY: &str = "CommitmentOf";

/// A hotkey's commitment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainCommitment {
    /// Its uid at the pin; `None`: it is not registered.
    pub uid: Option<u16>,
    /// Who committed.
    pub hotkey: AccountId,
    /// The block it was committed in; the earliest of equal entries wins.
    pub block: u64,
    /// What it means.
    pub meaning: Commitment,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Registration {
    block: u64,
    info: Info,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Info {
    fields: Vec<Value>,
}

impl Chain {
    /// The commitments of all hotkeys registered at `pin`, ascending by uid, then those of hotkeys that are not. Those
    /// without one are left out; one that means nothing to us is kept as unreadable.
    ///
    /// # Errors
    /// When no endpoint gives a complete answer. The map is read twice, by iteration and by key: a node whose
    /// iteration silently comes back empty is refused.
    pub fn commitments(&self, pin: &Pin, netuid: u16) -> Result<Vec<ChainCommitment>, ChainError> {
        self.read("the commitments", async |link| {
            let at = at(link, pin).await?;
            let hotkeys = hotkeys(link, &at, netuid).await?;
            commitments(link, &at, netuid, &hotkeys).await
        })
    }

    /// What `hotkey` has committed at `pin`, and in which block.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn commitment_of(
        &self,
        pin: &Pin,
        netuid: u16,
        hotkey: &AccountId,
    ) -> Result<Option<(Commitment, u64)>, ChainError> {
        self.read("a commitment", async |link| {
            let at = at(link, pin).await?;
            let found = committed(link, &at, netuid, hotkey).await?;
            Ok(found.map(|(bytes, block)| (read(&bytes), block)))
        })
    }
}

/// What these hotkeys have committed.
pub(super) async fn commitments(
    link: &Link,
    at: &At,
    netuid: u16,
    hotkeys: &[AccountId],
) -> Result<Vec<ChainCommitment>, ChainError> {
    let keys = hotkeys.iter().map(|h| (netuid, h.0));
    let (direct, listed) = tokio::try_join!(
        fetch::many::<_, Registration>(link, at, PALLET, ENTRY, keys),
        fetch::below::<(u16, [u8; 32]), _, Value>(link, at, PALLET, ENTRY, (netuid,)),
    )?;
    let listed: BTreeSet<[u8; 32]> = listed.into_iter().map(|((_, key), _)| key).collect();
    let mut found = Vec::new();
    for (uid, (hotkey, registration)) in hotkeys.iter().zip(direct).enumerate() {
        if registration.is_some() != listed.contains(&hotkey.0) {
            return Err(ChainError::Contradiction {
                endpoint: link.endpoint.clone(),
                what: format!("commitment of {hotkey}"),
                expected: "the same by key and in the list".into(),
                found: "only one of both".into(),
            });
        }
        if let Some(registration) = registration {
            found.push(ChainCommitment {
                uid: Some(uid as u16),
                hotkey: *hotkey,
                block: registration.block,
                meaning: meaning(&registration.info.fields),
            });
        }
    }
    let registered: BTreeSet<[u8; 32]> = hotkeys.iter().map(|hotkey| hotkey.0).collect();
    let others: Vec<[u8; 32]> = listed.difference(&registered).copied().collect();
    let keys = others.iter().map(|key| (netuid, *key));
    let direct = fetch::many::<_, Registration>(link, at, PALLET, ENTRY, keys).await?;
    found.extend(others.iter().zip(direct).filter_map(|(key, registration)| {
        let Registration { block, info } = registration?;
        Some(ChainCommitment { uid: None, hotkey: AccountId(*key), block, meaning: meaning(&info.fields) })
    }));
    Ok(found)
}

/// The raw bytes a hotkey committed, and their block.
pub(super) async fn committed(
    link: &Link,
    at: &At,
    netuid: u16,
    hotkey: &AccountId,
) -> Result<Option<(Vec<u8>, u64)>, ChainError> {
    let found: Option<Registration> = fetch::value(link, at, PALLET, ENTRY, (netuid, hotkey.0)).await?;
    Ok(found.map(|r| (raw(&r.info.fields).unwrap_or_default(), r.block)))
}

fn meaning(fields: &[Value]) -> Commitment {
    match raw(fields) {
        Some(bytes) => read(&bytes),
        None => Commitment::Unreadable(Unreadable::Foreign),
    }
}

/// The first field that carries bytes as such: `Raw0` … `Raw128` or `BigRaw`.
fn raw(fields: &[Value]) -> Option<Vec<u8>> {
    fields.iter().find_map(|field| match &field.value {
        ValueDef::Variant(v) if v.name == "BigRaw" || v.name.starts_with("Raw") => {
            let mut bytes = Vec::new();
            flatten(&v.values, &mut bytes).then_some(bytes)
        }
        // A list of fields nests once more on some versions.
        ValueDef::Composite(inner) => {
            let values: Vec<Value> = inner.values().cloned().collect();
            raw(&values)
        }
        _ => None,
    })
}

/// All bytes below a value in order; false when something there is no byte.
fn flatten(values: &Composite<()>, out: &mut Vec<u8>) -> bool {
    values.values().all(|value| match &value.value {
        ValueDef::Primitive(Primitive::U128(n)) => match u8::try_from(*n) {
            Ok(byte) => {
                out.push(byte);
                true
            }
            Err(_) => false,
        },
        ValueDef::Composite(inner) => flatten(inner, out),
        _ => false,
    })
}
