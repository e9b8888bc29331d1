//! The chain as a validator sees it, on top of `edgemaxx-chain`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use edgemaxx_chain::commitment::{Commitment as Meaning, DaySeal};
use edgemaxx_chain::weights::Rule;
use edgemaxx_chain::{
    BlockAt, Chain as Node, ChainError, Committed, Journal, Pin, SubmitOptions, WeightsRequest,
};
use edgemaxx_contract::day::BlockRef;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::Weights;
use edgemaxx_seal::{AccountId, Keypair};
use edgemaxx_validator::world::{Chain, ChainTrouble, Head, Hindrance, Snapshot};

use crate::submissions;

/// A subnet of a Subtensor chain, and the hotkey that sets weights on it.
pub struct Subtensor<'a> {
    /// The connection.
    pub node: &'a Node,
    /// The subnet.
    pub netuid: u16,
    /// Entries for other contests are left alone.
    pub contest: String,
    /// The hotkey.
    pub key: &'a Keypair,
    /// Of its submissions.
    pub journal: &'a RefCell<Journal>,
    /// The block that was found last, to read at.
    pub block: Option<BlockAt>,
}

fn trouble(error: &ChainError) -> ChainTrouble {
    if let ChainError::Preflight { broken } = error {
        for violation in broken {
            match violation.rule {
                Rule::HotKeyNotRegisteredInSubNet => return ChainTrouble::Unregistered,
                Rule::NeuronNoValidatorPermit | Rule::NotEnoughStakeToSetWeights => {
                    return ChainTrouble::NoPermit;
                }
                _ => {}
            }
        }
    }
    if error.is_transient() {
        ChainTrouble::Away(error.to_string())
    } else {
        ChainTrouble::Refused(error.to_string())
    }
}

fn head_of(pin: &Pin) -> Result<Head, ChainTrouble> {
    let ms = pin.timestamp_ms.ok_or_else(|| ChainTrouble::Away("the chain keeps no clock".to_owned()))?;
    Ok(Head { number: pin.number, unix_s: (ms / 1000).cast_signed() })
}

impl Subtensor<'_> {
    fn pin(&self) -> Result<Pin, ChainTrouble> {
        self.node.pin().map_err(|error| trouble(&error))
    }
}

impl Chain for Subtensor<'_> {
    fn head(&mut self) -> Result<Head, ChainTrouble> {
        head_of(&self.pin()?)
    }

    fn block_at(&mut self, unix_s: i64) -> Result<Option<BlockRef>, ChainTrouble> {
        let ms = unix_s.max(0).cast_unsigned() * 1000;
        let found = self.node.first_block_at(ms).map_err(|error| trouble(&error))?;
        self.block = found;
        Ok(found.map(|block| BlockRef {
            number: block.number,
            hash: format!("{:?}", block.hash),
            unix_s: (block.timestamp_ms / 1000).cast_signed(),
        }))
    }

    fn snapshot(&mut self, block: &BlockRef) -> Result<Snapshot, ChainTrouble> {
        let Some(found) = self.block.filter(|found| format!("{:?}", found.hash) == block.hash) else {
            return Err(ChainTrouble::Away(format!("block {} was not looked for", block.number)));
        };
        let timestamp_ms = Some(found.timestamp_ms);
        let at = Pin { number: found.number, hash: found.hash, timestamp_ms, ..self.pin()? };
        submissions::snapshot(self.node, &at, self.netuid, &self.contest).map_err(|error| trouble(&error))
    }

    fn places(&mut self, number: u64, hotkeys: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble> {
        let found = self.node.committed_in(number, self.netuid).map_err(|error| trouble(&error))?;
        // Of several, the last stands.
        let place = |all: Vec<Committed>| Some(all.last()?.place);
        let named = found.into_iter().filter_map(|(hotkey, all)| Some((hotkey.to_ss58(), place(all)?)));
        Ok(named.filter(|(hotkey, _)| hotkeys.contains(hotkey)).collect())
    }

    fn sealed(&mut self, number: u64, hotkey: &str) -> Result<Vec<Digest>, ChainTrouble> {
        let hotkey: AccountId =
            hotkey.parse().map_err(|_| ChainTrouble::Refused(format!("{hotkey}: no hotkey")))?;
        submissions::sealed_in(self.node, number, self.netuid, &hotkey).map_err(|error| trouble(&error))
    }

    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble> {
        let found = self.node.hindrances(&self.pin()?, self.netuid, &self.key.account());
        let found = found.map_err(|error| trouble(&error))?;
        Ok(found.into_iter().map(|h| Hindrance { why: h.violation.to_string(), until: h.until }).collect())
    }

    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble> {
        let pin = self.pin()?;
        let own = self.key.account();
        let set = || {
            let metagraph = self.node.metagraph(&pin, self.netuid)?;
            // What this hotkey has set since then is these weights: they landed before a crash.
            if let Some(neuron) = metagraph.by_hotkey(&own)
                && neuron.last_update >= not_before.max(neuron.registered_at + 1)
            {
                return Ok(neuron.last_update);
            }
            let rewards = weights
                .entries
                .iter()
                .filter_map(|entry| Some((entry.hotkey.parse::<AccountId>().ok()?, entry.share)));
            let request = WeightsRequest {
                netuid: self.netuid,
                mechanism: 0,
                hotkey: own,
                rewards: rewards.collect(),
                version_key: self.node.version_key(&pin, self.netuid)?,
            };
            let plan = self.node.plan_weights(&pin, &request)?;
            let mut journal = self.journal.borrow_mut();
            Ok(self.node.set_weights(&plan, self.key, &mut journal, &SubmitOptions::default())?.block)
        };
        set().map_err(|error: ChainError| trouble(&error))
    }

    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble> {
        let (pin, own) = (self.pin()?, self.key.account());
        let found = self.node.commitment_of(&pin, self.netuid, &own).map_err(|error| trouble(&error))?;
        // A hotkey has one commitment: an entry of its own is worth more than this.
        if found.is_some_and(|(meaning, _)| !matches!(meaning, Meaning::Day(_))) {
            return Err(ChainTrouble::Refused(
                "the hotkey has committed something else, which is left".to_owned(),
            ));
        }
        let bytes = DaySeal { day: day.clone(), manifest }.to_bytes();
        let mut journal = self.journal.borrow_mut();
        self.node
            .set_commitment(self.netuid, &bytes, self.key, &mut journal, &SubmitOptions::default())
            .map(|landed| landed.block)
            .map_err(|error| trouble(&error))
    }
}
