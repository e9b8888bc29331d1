//! Reading storage by name, with metadata probed and failures sorted into transient and final.

use subxt::dynamic;
use subxt::error::StorageError;
use subxt::ext::frame_decode::storage::{IntoDecodableValues, IntoEncodableValues};
use subxt::ext::futures::{StreamExt, TryStreamExt, stream};
use subxt::ext::scale_decode::DecodeAsType;
use subxt::storage::PrefixOf;

use super::link::{At, Link, is_discarded};
use crate::ChainError;

/// The pallet all of Bittensor's own state lives in.
pub(super) const SUBTENSOR: &str = "SubtensorModule";
/// Requests in flight at once.
const WIDTH: usize = 64;

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

/// The same entry under many keys, in the keys' order.
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
    stream::iter(keys).map(|key| value(link, at, pallet, entry, key)).buffered(WIDTH).try_collect().await
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

fn sort(link: &Link, at: &At, pallet: &str, entry: &str, error: StorageError) -> ChainError {
    if is_discarded(&error.to_string()) {
        return ChainError::Discarded { endpoint: link.endpoint.clone(), block: at.block_number() };
    }
    match error {
        StorageError::CannotFetchValue(_)
        | StorageError::CannotIterateValues(_)
        | StorageError::StreamFailure(_) => ChainError::Transport {
            what: "reading storage",
            endpoint: link.endpoint.clone(),
            why: format!("{pallet}.{entry}: {error}"),
        },
        StorageError::PalletNameNotFound(_)
        | StorageError::StorageEntryNotFound { .. }
        | StorageError::StorageInfoError(_) => {
            ChainError::Missing { what: format!("{pallet}.{entry}"), spec: at.spec_version() }
        }
        other => decode(at, pallet, entry, &other),
    }
}
