//! Which finalised block was the first at or after a moment: where a day's entropy comes from. Read from the blocks'
//! own time stamps, which every node keeps, not from old state, which most have thrown away.

use serde::Serialize;
use subxt::ext::codec::{Compact, Decode};
use subxt::utils::H256;

use super::connection::{At, Chain, Link};
use super::pin::head;
use crate::ChainError;

/// A finalised block and its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockAt {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: H256,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// A finalised block as far as the node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockSeen {
    /// Hash.
    pub hash: H256,
    /// Its own clock, milliseconds since 1970; `None` for block 0, and where the node has no body of it any more.
    pub timestamp_ms: Option<u64>,
}

impl Chain {
    /// Block `number`; `None` while it is not final.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn block(&self, number: u64) -> Result<Option<BlockSeen>, ChainError> {
        self.read("a block", async |link| {
            let top = head(link).await?;
            if number > top.block_number() {
                return Ok(None);
            }
            let lost = |why: String| ChainError::Transport {
                what: "a block",
                endpoint: link.endpoint.clone(),
                why: format!("block {number}: {why}"),
            };
            let hash = link.rpc.chain_get_block_hash(Some(number.into())).await;
            let hash =
                hash.map_err(|e| lost(e.to_string()))?.ok_or_else(|| lost("unknown, though final".into()))?;
            let body = link.rpc.chain_get_block(Some(hash)).await.map_err(|e| lost(e.to_string()))?;
            let timestamp_ms = set_call(&top).zip(body).and_then(|(set, body)| {
                body.block.extrinsics.iter().find_map(|extrinsic| time_of(&extrinsic.0, set))
            });
            Ok(Some(BlockSeen { hash, timestamp_ms }))
        })
    }

    /// The first finalised block whose clock says `ms` (milliseconds since 1970) or later; `None` while there is none.
    /// Whoever asks later gets the same answer.
    ///
    /// # Errors
    /// When no endpoint answers, or one's blocks run backwards.
    pub fn first_block_at(&self, ms: u64) -> Result<Option<BlockAt>, ChainError> {
        self.read("the first block at a time", async |link| {
            let top = head(link).await?;
            let mut found = clock(link, &top, top.block_number()).await?;
            if found.timestamp_ms < ms {
                return Ok(None);
            }
            // Everything up to `before` is earlier; the genesis block has no time stamp.
            let mut before = 0;
            while before + 1 < found.number {
                let middle = clock(link, &top, before + (found.number - before) / 2).await?;
                if middle.timestamp_ms > found.timestamp_ms {
                    return Err(ChainError::Contradiction {
                        endpoint: link.endpoint.clone(),
                        what: format!("time stamp of block {}", middle.number),
                        expected: format!("at most {}, that of block {}", found.timestamp_ms, found.number),
                        found: middle.timestamp_ms.to_string(),
                    });
                }
                if middle.timestamp_ms >= ms {
                    found = middle;
                } else {
                    before = middle.number;
                }
            }
            Ok(Some(found))
        })
    }
}

/// A block's hash and the time that its own `Timestamp.set` gives.
async fn clock(link: &Link, at: &At, number: u64) -> Result<BlockAt, ChainError> {
    let lost = |why: String| ChainError::Transport {
        what: "a block's time stamp",
        endpoint: link.endpoint.clone(),
        why: format!("block {number}: {why}"),
    };
    let hash = link.rpc.chain_get_block_hash(Some(number.into())).await.map_err(|e| lost(e.to_string()))?;
    let hash = hash.ok_or_else(|| lost("unknown".into()))?;
    let block = link.rpc.chain_get_block(Some(hash)).await.map_err(|e| lost(e.to_string()))?;
    let block = block.ok_or_else(|| lost("has no body".into()))?.block;
    let set = set_call(at)
        .ok_or_else(|| ChainError::Missing { what: "Timestamp.set".into(), spec: at.spec_version() })?;
    let timestamp_ms = block.extrinsics.iter().find_map(|e| time_of(&e.0, set));
    let timestamp_ms = timestamp_ms.ok_or_else(|| lost("has no time stamp".into()))?;
    Ok(BlockAt { number, hash, timestamp_ms })
}

/// Pallet and call index of `Timestamp.set`.
fn set_call(at: &At) -> Option<[u8; 2]> {
    call_of(at, "Timestamp", "set")
}

/// Pallet and call index of a call.
pub(super) fn call_of(at: &At, pallet: &str, call: &str) -> Option<[u8; 2]> {
    let pallet = at.metadata_ref().pallet_by_name(pallet)?;
    Some([pallet.call_index(), pallet.call_variant_by_name(call)?.index])
}

/// The time in an unsigned extrinsic (version 4 or 5) that calls `set`.
fn time_of(mut bytes: &[u8], set: [u8; 2]) -> Option<u64> {
    let input = &mut bytes;
    let _length = Compact::<u32>::decode(input).ok()?;
    let (version, call) = <(u8, [u8; 2])>::decode(input).ok()?;
    if !matches!(version, 4 | 5) || call != set {
        return None;
    }
    Compact::<u64>::decode(input).ok().map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unsigned_time_stamp_tells_the_time() {
        // Block 1 of the local runtime (spec 218): built on 2026-11-22 at 22:46:50 UTC.
        let bytes = [0x28, 0x04, 0x02, 0x00, 0x0b, 0x3c, 0xd6, 0x70, 0x05, 0xa2, 0x01];
        assert_eq!(time_of(&bytes, [2, 0]), Some(1_795_387_610_684));
        assert_eq!(time_of(&bytes, [3, 0]), None);
        let mut signed = bytes;
        signed[1] = 0x84;
        assert_eq!(time_of(&signed, [2, 0]), None);
        assert_eq!(time_of(&bytes[..6], [2, 0]), None);
    }
}
