//! What a node is asked about a subnet: its states, and what was committed in its blocks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use edgemaxx_chain::commitment::Commitment;
use edgemaxx_chain::{Chain, ChainError, Committed, Metagraph, Pin};
use edgemaxx_seal::AccountId;

use super::dates::Blocks;
use super::witness::States;

/// A subnet of a chain.
pub(super) struct Subnet<'a> {
    pub(super) chain: &'a Chain,
    pub(super) netuid: u16,
}

impl States for Subnet<'_> {
    fn head(&self) -> Result<Pin, ChainError> {
        self.chain.pin()
    }

    fn pin_at(&self, number: u64) -> Result<Pin, ChainError> {
        self.chain.pin_at(number)
    }

    fn metagraph(&self, pin: &Pin) -> Result<Metagraph, ChainError> {
        self.chain.metagraph(pin, self.netuid)
    }

    fn weights_of(&self, pin: &Pin, uid: u16) -> Result<Vec<(u16, u16)>, ChainError> {
        self.chain.weights_of(pin, self.netuid, 0, uid)
    }

    fn revealed_by(&self, pin: &Pin, set: u64) -> Result<Option<u64>, ChainError> {
        self.chain.revealed_by(pin, self.netuid, set)
    }

    fn commitment_of(&self, pin: &Pin, hotkey: &AccountId) -> Result<Option<(Commitment, u64)>, ChainError> {
        self.chain.commitment_of(pin, self.netuid, hotkey)
    }

    fn time_ms(&self, number: u64) -> Result<Option<u64>, ChainError> {
        Ok(self.chain.block(number)?.and_then(|block| block.timestamp_ms))
    }
}

/// What each hotkey committed in one block.
type ByHotkey = BTreeMap<AccountId, Vec<Committed>>;

/// The blocks of a chain, each asked for once.
pub(super) struct OnChain<'a> {
    pub(super) chain: &'a Chain,
    pub(super) netuid: u16,
    pub(super) seen: RefCell<BTreeMap<u64, Option<ByHotkey>>>,
}

impl Blocks for OnChain<'_> {
    fn of(&self, number: u64, hotkey: &str) -> Result<Option<Vec<Committed>>, ChainError> {
        let mut seen = self.seen.borrow_mut();
        if let Entry::Vacant(place) = seen.entry(number) {
            let found = match self.chain.committed_in(number, self.netuid) {
                Err(ChainError::Discarded { .. }) => None,
                found => Some(found?),
            };
            place.insert(found);
        }
        let hotkey = hotkey.parse::<AccountId>().ok();
        let of = |all: &ByHotkey| hotkey.and_then(|hotkey| all.get(&hotkey).cloned()).unwrap_or_default();
        Ok(seen[&number].as_ref().map(of))
    }
}
