//! Reading storage by name, with metadata probed and failures sorted into transient and final.

use std::collections::HashMap;

use subxt::dynamic;
use subxt::error::StorageError;
use subxt::ext::frame_decode::storage::{IntoDecodableValues, IntoEncodableValues};
use subxt::ext::scale_decode::DecodeAsType;
use subxt::storage::{PrefixOf, StorageValue};

use super::connection::{At, Link, is_discarded};
use crate::ChainError;

/// The pallet all of Bittensor's own state lives in.
pub(super) const SUBTENSOR: &str = "SubtensorModule";
/// Keys that one request asks for.
const AT_ONCE: usize = 512;

/// Whether this runtime has the entry.
pub(super) fn has(at: &At, pallet: &str, entry: &str) -> bool {
    let metadata = at.metadata_ref();
    metadata
        .pallet_by_name(pallet)
        .and_then(|p| p.storage())
        .is_some_and(|s| s.entry_by_name(entry).is_some())
}

/// Whether this runtime has the call.
pub(super) fn has_call(at: &At, pallet: &str, call: &str) -> bool {
    at.metadata_ref().pallet_by_name(pallet).is_some_and(|p| p.call_variant_by_name(call).is_some())
}

/// One value; the entry's default where nothing is stored; `None` where it has no default.
pub(super) async fn value<K, V>(
    link: &Link,
    at: &At,
    pallet: &str,
    entry: &str,
    key: K,
) -> Result<Option<V>, ChainError>
where
    K: IntoEncodableValues + IntoDecodableValues,
    V: DecodeAsType,
{
    let address = dynamic::storage::<K, V>(pallet, entry);
    let found = at.storage().try_fetch(address, key).await;
    match found.map_err(|e| sort(link, at, pallet, entry, e))? {
        None => Ok(None),
        Some(value) => value.decode().map(Some).map_err(|e| decode(at, pallet, entry, &e)),
    }
}

/// As [`value`], where absence makes no sense.
pub(super) async fn must<K, V>(link: &Link, at: &At, entry: &str, key: K) -> Result<V, ChainError>
where
    K: IntoEncodableValues + IntoDecodableValues,
    V: DecodeAsType,
{
    value(link, at, SUBTENSOR, entry, key).await?.ok_or_else(|| ChainError::Contradiction {
        endpoint: link.endpoint.clone(),
        what: format!("{SUBTENSOR}.{entry}"),
        expected: "a value".into(),
        found: "none".into(),
    })
}

/// The same entry under many keys, in the keys' order: one request for some hundred keys.
pub(super) async fn many<K, V>(
    link: &Link,
    at: &At,
    pallet: &str,
    entry: &str,
    keys: impl IntoIterator<Item = K>,
) -> Result<Vec<Option<V>>, ChainError>
where
    K: IntoEncodableValues + IntoDecodableValues,
    V: DecodeAsType,
{
    let fail = |e| sort(link, at, pallet, entry, e);
    let kept = at.storage().entry(dynamic::storage::<K, V>(pallet, entry)).map_err(fail)?;
    let keys: Vec<Vec<u8>> =
        keys.into_iter().map(|key| kept.fetch_key(key)).collect::<Result<_, _>>().map_err(fail)?;
    let kind = value_type(at, pallet, entry)?;
    let mut values = Vec::with_capacity(keys.len());
    for some in keys.chunks(AT_ONCE) {
        let asked = some.iter().map(Vec::as_slice);
        let sets = link.rpc.state_query_storage_at(asked, Some(at.block_hash())).await;
        let sets = sets.map_err(|e| lost(link, at, pallet, entry, &e.to_string()))?;
        let found: HashMap<Vec<u8>, Option<Vec<u8>>> = sets
            .into_iter()
            .flat_map(|set| set.changes)
            .map(|(key, value)| (key.0, value.map(|bytes| bytes.0)))
            .collect();
        for key in some {
            // A node names each key that it was asked for, also where nothing is stored.
            let value = found.get(key).ok_or_else(|| ChainError::Contradiction {
                endpoint: link.endpoint.clone(),
                what: format!("{pallet}.{entry}"),
                expected: format!("an answer for each of {} keys", some.len()),
                found: format!("{}", found.len()),
            })?;
            let default = || kept.default_value().map(StorageValue::into_bytes);
            let Some(bytes) = value.clone().or_else(default) else {
                values.push(None);
                continue;
            };
            let mut rest = &bytes[..];
            let value = V::decode_as_type(&mut rest, kind, at.metadata_ref().types());
            let value = value.map_err(|e| decode(at, pallet, entry, &e))?;
            if !rest.is_empty() {
                return Err(decode(at, pallet, entry, &format!("{} bytes left over", rest.len())));
            }
            values.push(Some(value));
        }
    }
    Ok(values)
}

/// The number of the type that an entry's values are of.
fn value_type(at: &At, pallet: &str, entry: &str) -> Result<u32, ChainError> {
    let found = at
        .metadata_ref()
        .pallet_by_name(pallet)
        .and_then(|p| p.storage())
        .and_then(|storage| storage.entry_by_name(entry))
        .map(|entry| entry.value_ty());
    found.ok_or_else(|| ChainError::Missing { what: format!("{pallet}.{entry}"), spec: at.spec_version() })
}

/// All entries below a prefix.
pub(super) async fn below<K, P, V>(
    link: &Link,
    at: &At,
    pallet: &str,
    entry: &str,
    prefix: P,
) -> Result<Vec<(K, V)>, ChainError>
where
    K: IntoEncodableValues + IntoDecodableValues,
    P: PrefixOf<K>,
    V: DecodeAsType,
{
    let address = dynamic::storage::<K, V>(pallet, entry);
    let fail = |e| sort(link, at, pallet, entry, e);
    let mut entries = at.storage().iter(address, prefix).await.map_err(fail)?;
    let mut found = Vec::new();
    while let Some(next) = entries.next().await {
        let next = next.map_err(fail)?;
        let key = next.key().and_then(|k| k.decode()).map_err(|e| decode(at, pallet, entry, &e))?;
        let value = next.value().decode().map_err(|e| decode(at, pallet, entry, &e))?;
        found.push((key, value));
    }
    Ok(found)
}

fn decode(at: &At, pallet: &str, entry: &str, why: &dyn std::fmt::Display) -> ChainError {
    ChainError::Decode { what: format!("{pallet}.{entry}"), spec: at.spec_version(), why: why.to_string() }
}

/// Why a node gave no answer.
fn lost(link: &Link, at: &At, pallet: &str, entry: &str, why: &str) -> ChainError {
    let endpoint = link.endpoint.clone();
    if is_discarded(why) {
        return ChainError::Discarded { endpoint, block: at.block_number() };
    }
    ChainError::Transport { what: "reading storage", endpoint, why: format!("{pallet}.{entry}: {why}") }
}

fn sort(link: &Link, at: &At, pallet: &str, entry: &str, error: StorageError) -> ChainError {
    match error {
        error if is_discarded(&error.to_string()) => lost(link, at, pallet, entry, &error.to_string()),
        StorageError::CannotFetchValue(_)
        | StorageError::CannotIterateValues(_)
        | StorageError::StreamFailure(_) => lost(link, at, pallet, entry, &error.to_string()),
        StorageError::PalletNameNotFound(_)
        | StorageError::StorageEntryNotFound { .. }
        | StorageError::StorageInfoError(_) => {
            ChainError::Missing { what: format!("{pallet}.{entry}"), spec: at.spec_version() }
        }
        other => decode(at, pallet, entry, &other),
    }
}
