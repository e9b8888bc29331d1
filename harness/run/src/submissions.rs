//! What a subnet's hotkeys have committed to a contest, read off the chain: by the validator at noon, and by whoever
//! audits its day.

use edgemaxx_chain::commitment::{Commitment as Meaning, Provider};
use edgemaxx_chain::{Chain, ChainError, Pin};
use edgemaxx_contract::day::Undecoded;
use edgemaxx_validator::world::{Commitment, Snapshot};

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
        let hotkey = commitment.hotkey.to_ss58();
        let reason = match commitment.meaning {
            Meaning::Submission(entry) => {
                let Provider::HuggingFace = entry.provider;
                snapshot.commitments.push(Commitment {
                    hotkey,
                    block: commitment.block,
                    source: format!("hf:{}@{}", entry.repository, entry.revision),
                    other_contest: (entry.contest != contest).then_some(entry.contest),
                });
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
