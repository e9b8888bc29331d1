//! What a subnet's hotkeys have committed to a contest, read off the chain: by the validator at noon, and by whoever
//! audits its day.

use edgemaxx_chain::commitment::{Commitment as Meaning, Provider, Sealed, Submission};
use edgemaxx_chain::{Chain, ChainError, Pin};
use edgemaxx_contract::day::Undecoded;
use edgemaxx_contract::digest::Digest;
use edgemaxx_seal::AccountId;
use edgemaxx_validator::world::{Commitment, Seal, Snapshot};

/// Everything of the subnet at `pin`, as the contest named `contest` sees it.
///
/// # Errors
/// When no endpoint gives a complete answer.
pub fn snapshot(chain: &Chain, pin: &Pin, netuid: u16, contest: &str) -> Result<Snapshot, ChainError> {
    let found = chain.snapshot(pin, netuid)?;
    let mut snapshot = Snapshot {
        registered: found.neurons.iter().map(|neuron| (neuron.uid, neuron.hotkey.to_ss58())).collect(),
        ..Snapshot::default()
    };
    for commitment in found.commitments {
        let (hotkey, block) = (commitment.hotkey.to_ss58(), commitment.block);
        let entry = |source: String, of: String, seal: Seal| Commitment {
            hotkey: hotkey.clone(),
            block,
            source,
            seal,
            other_contest: (of != contest).then_some(of),
        };
        let reason = match commitment.meaning {
            Meaning::Submission(found) => {
                let opens =
                    found.opens.map(|opens| Seal::Opened { block: opens.block.into(), salt: opens.salt });
                let source = source_of(&found);
                snapshot.commitments.push(entry(source, found.contest, opens.unwrap_or(Seal::None)));
                continue;
            }
            Meaning::Sealed(Sealed { contest, digest }) => {
                snapshot.commitments.push(entry(format!("sealed:{digest}"), contest, Seal::Closed));
                continue;
            }
            // A validator's.
            Meaning::Day(_) => continue,
            Meaning::Legacy(_) => "in the original subnet's format, which names no full revision".to_owned(),
            Meaning::Unreadable(why) => why.to_string(),
        };
        // What says nothing, of somebody who is not there, concerns nobody.
        if commitment.uid.is_some() {
            snapshot.undecoded.push(Undecoded { hotkey, reason });
        }
    }
    Ok(snapshot)
}

/// The checkpoint that an entry names, as a contest file would.
pub fn source_of(entry: &Submission) -> String {
    let Provider::HuggingFace = entry.provider;
    format!("hf:{}@{}", entry.repository, entry.revision)
}

/// What `hotkey` sealed in block `number`, in order.
///
/// # Errors
/// When no endpoint answers, or none keeps the block.
pub fn sealed_in(
    chain: &Chain,
    number: u64,
    netuid: u16,
    hotkey: &AccountId,
) -> Result<Vec<Digest>, ChainError> {
    let found = chain.committed_in(number, netuid)?.remove(hotkey).unwrap_or_default();
    let sealed =
        found.iter().filter_map(|committed| match edgemaxx_chain::commitment::read(&committed.bytes) {
            Meaning::Sealed(sealed) => Some(sealed.digest),
            _ => None,
        });
    Ok(sealed.collect())
}
