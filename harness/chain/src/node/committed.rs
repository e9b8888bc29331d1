//! What was committed in a block, and at which place: read from the block's own extrinsics, which every node keeps, not
//! from old state, which most have thrown away.

use std::collections::BTreeMap;

use edgemaxx_seal::AccountId;
use serde::Serialize;
use subxt::ext::codec::{Compact, Decode};

use super::blocks::call_of;
use super::commitments::PALLET;
use super::connection::Chain;
use super::pin::head;
use crate::ChainError;

/// Bytes between an extrinsic's signature and its call, at most.
const MOST_BETWEEN: usize = 48;

/// One call that commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Committed {
    /// Its place in the block.
    pub place: u32,
    /// The bytes of its first field.
    pub bytes: Vec<u8>,
}

impl Chain {
    /// What hotkeys themselves committed on subnet `netuid` in block `number`, in its order, by hotkey. Who committed through
    /// a batch or a proxy is not among them; who was refused is.
    ///
    /// # Errors
    /// When no endpoint answers, or this one does not keep the block.
    pub fn committed_in(
        &self,
        number: u64,
        netuid: u16,
    ) -> Result<BTreeMap<AccountId, Vec<Committed>>, ChainError> {
        self.read("a block's commitments", async |link| {
            let top = head(link).await?;
            let lost = |why: String| ChainError::Transport {
                what: "a block's commitments",
                endpoint: link.endpoint.clone(),
                why: format!("block {number}: {why}"),
            };
            let call = call_of(&top, PALLET, "set_commitment").ok_or_else(|| ChainError::Missing {
                what: format!("{PALLET}.set_commitment"),
                spec: top.spec_version(),
            })?;
            if number > top.block_number() {
                return Ok(BTreeMap::new());
            }
            let hash = link.rpc.chain_get_block_hash(Some(number.into())).await;
            let hash = hash.map_err(|e| lost(e.to_string()))?.ok_or_else(|| lost("unknown".into()))?;
            let body = link.rpc.chain_get_block(Some(hash)).await.map_err(|e| lost(e.to_string()))?;
            let discarded = || ChainError::Discarded { endpoint: link.endpoint.clone(), block: number };
            let mut found: BTreeMap<AccountId, Vec<Committed>> = BTreeMap::new();
            for (place, extrinsic) in body.ok_or_else(discarded)?.block.extrinsics.iter().enumerate() {
                if let Some((hotkey, bytes)) = commitment(&extrinsic.0, call, netuid) {
                    found.entry(hotkey).or_default().push(Committed { place: place as u32, bytes });
                }
            }
            Ok(found)
        })
    }
}

/// Who signed an extrinsic that is `call` for subnet `netuid`, the call's first field, and what it commits.
fn commitment(mut bytes: &[u8], call: [u8; 2], netuid: u16) -> Option<(AccountId, Vec<u8>)> {
    let input = &mut bytes;
    let _length = Compact::<u32>::decode(input).ok()?;
    // Signed, version 4; an account's own address; its signature by sr25519, as hotkeys sign.
    let (version, address, signer) = <(u8, u8, [u8; 32])>::decode(input).ok()?;
    let (scheme, _) = <(u8, [u8; 64])>::decode(input).ok()?;
    if (version, address, scheme) != (0x84, 0, 1) {
        return None;
    }
    // Between signature and call lie a few bytes that differ from runtime to runtime: life, nonce, tip, a mode.
    let [low, high] = netuid.to_le_bytes();
    let call = [call[0], call[1], low, high];
    let at = input.windows(call.len()).take(MOST_BETWEEN).position(|part| part == call)?;
    let mut fields = &input[at + call.len()..];
    let _count = Compact::<u32>::decode(&mut fields).ok()?;
    // The field's variant, then its bytes.
    Some((AccountId(signer), fields.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use subxt::ext::codec::Encode as _;

    use super::*;

    #[test]
    fn a_commitment_is_its_signers_own() {
        let mut bytes = vec![0x84, 0];
        bytes.extend([7; 32]);
        bytes.push(1);
        bytes.extend([9; 64]);
        bytes.extend([0x15, 0x02, 0x04, 0x00, 0x00]);
        bytes.extend([18, 0, 39, 0, 4, 2, 0x61]);
        let of = |bytes: &[u8], netuid| {
            let mut whole = Compact(bytes.len() as u32).encode();
            whole.extend(bytes);
            commitment(&whole, [18, 0], netuid)
        };
        assert_eq!(of(&bytes, 39), Some((AccountId([7; 32]), vec![0x61])));
        assert_eq!(of(&bytes, 40), None);
        // Another call, another scheme, no signature.
        for (at, byte) in [(bytes.len() - 7, 19), (34, 0), (0, 4)] {
            let mut other = bytes.clone();
            other[at] = byte;
            assert_eq!(of(&other, 39), None, "{at}");
        }
        assert_eq!(commitment(&[], [18, 0], 39), None);
    }
}
