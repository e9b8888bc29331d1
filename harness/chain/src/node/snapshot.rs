//! Everything a decision about a subnet needs, at one block.

use edgemaxx_seal::AccountId;
use serde::Serialize;

use super::commitments::{ChainCommitment, commitments};
use super::connection::Chain;
use super::metagraph::{Neuron, hotkeys, neurons};
use super::pin::{Pin, at};
use crate::ChainError;

/// A subnet at one finalised block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// The subnet.
    pub netuid: u16,
    /// The block everything was read at.
    pub pin: Pin,
    /// All neurons, ascending by uid, without gaps.
    pub neurons: Vec<Neuron>,
    /// What hotkeys have committed, ascending by uid, each with its own block; at the end who is not registered.
    pub commitments: Vec<ChainCommitment>,
}

impl Snapshot {
    /// The neuron with this hotkey.
    pub fn by_hotkey(&self, hotkey: &AccountId) -> Option<&Neuron> {
        self.neurons.iter().find(|n| n.hotkey == *hotkey)
    }
}

impl Chain {
    /// The subnet at `pin`.
    ///
    /// # Errors
    /// When no endpoint gives a complete answer; see [`Chain::metagraph`] and [`Chain::commitments`].
    pub fn snapshot(&self, pin: &Pin, netuid: u16) -> Result<Snapshot, ChainError> {
        self.read("the subnet", async |link| {
            let at = at(link, pin).await?;
            let hotkeys = hotkeys(link, &at, netuid).await?;
            let (neurons, commitments) = tokio::try_join!(
                neurons(link, &at, netuid, &hotkeys),
                commitments(link, &at, netuid, &hotkeys),
            )?;
            Ok(Snapshot { netuid, pin: *pin, neurons, commitments })
        })
    }
}
