//! A sealed day against the chain: the block that its entropy comes from, the weights, the digest beside them.

use std::path::Path;

use edgemaxx_chain::commitment::Commitment;
use edgemaxx_chain::weights::join;
use edgemaxx_chain::{Chain, ChainError, Metagraph, Pin};
use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::AccountId;
use edgemaxx_seal::manifest::{self, MANIFEST_FILE};
use edgemaxx_validator::schedule::{next, noon};

use super::check::{Check, Checks, Held};
use super::first_block::first_at;
use super::submitted;
use super::verdict::document;
use crate::error::{Class, InFile as _, Result, RunError};

/// How often weights or digests that replaced the day's are looked behind.
const STEPS: u32 = 400;

/// The checks of a day against `chain` up to the first that fails.
///
/// # Errors
/// When the chain cannot be asked.
pub fn on_chain(run: &Path, chain: &Chain) -> Result<Vec<Check>> {
    let mut checks = Checks::default();
    if !run.join(DAY_FILE).exists() {
        checks.add("chain", Ok(Held::NotHere("a run by hand: nothing of it is on chain".to_owned())));
        return Ok(checks.0);
    }
    let record: DayRecord = document(run, DAY_FILE)?;
    let (manifest, digest) = manifest::read(run)?;
    let signer = manifest.signature.map_or_else(|| record.validator.clone(), |signature| signature.hotkey);
    let hotkey = signer.parse::<AccountId>().in_file(&run.join(MANIFEST_FILE))?;
    let witness = Witness { chain, head: chain.pin()?, hotkey, record };
    let steps: [(&'static str, &dyn Fn() -> Result<Held>); 4] = [
        ("block on chain", &|| witness.block()),
        ("nobody left out", &|| submitted::nobody_left_out(run, chain, &witness.record)),
        ("weights on chain", &|| witness.weights(&document(run, WEIGHTS_FILE)?)),
        ("digest on chain", &|| witness.digest(digest)),
    ];
    for (what, step) in steps {
        match step() {
            Err(error) if error.class() == Class::Chain => return Err(error),
            result => {
                if !checks.add(what, result) {
                    break;
                }
            }
        }
    }
    Ok(checks.0)
}

/// What the chain says about a day.
struct Witness<'a> {
    chain: &'a Chain,
    head: Pin,
    /// Who signed the day.
    hotkey: AccountId,
    record: DayRecord,
}

impl Witness<'_> {
    /// The day's block has that hash and time, and is the first at or after its close.
    fn block(&self) -> Result<Held> {
        match &self.record.block {
            Some(block) => first_at(self.chain, block, self.record.closed_unix_s),
            None => {
                Ok(Held::NotHere("the day had no block: its validator could not read the chain".to_owned()))
            }
        }
    }

    /// The weights that the signer set are the decided ones: now, or before a later day replaced them.
    fn weights(&self, decided: &Weights) -> Result<Held> {
        let unknown = |why: String| Ok(Held::NotHere(why));
        let differs = |problem: String| Err(RunError::input(format!("{WEIGHTS_FILE}: {problem}")));
        if decided.entries.is_empty() {
            return unknown("the day decided to set none".to_owned());
        }
        let mut shares = Vec::new();
        for entry in &decided.entries {
            let hotkey = entry.hotkey.parse::<AccountId>().in_file(Path::new(WEIGHTS_FILE))?;
            shares.push((hotkey, entry.share));
        }
        let since = self.record.block.as_ref().map_or(0, |block| block.number);
        let (netuid, hotkey) = (self.record.netuid, self.hotkey);
        let mut pin = self.head;
        // The block and the first difference of what stands now.
        let mut newest: Option<(u64, String)> = None;
        for _ in 0..STEPS {
            let metagraph = self.chain.metagraph(&pin, netuid)?;
            let Some(neuron) = metagraph.by_hotkey(&hotkey) else {
                return unknown(format!(
                    "{hotkey} is not registered on netuid {netuid} at block {}",
                    pin.number
                ));
            };
            let (set, found) = (neuron.last_update, self.chain.weights_of(&pin, netuid, 0, neuron.uid)?);
            let difference = match compare(&metagraph, &shares, &found) {
                None => return Ok(Held::Yes(stood(&found, set, newest.as_ref().map(|(block, _)| *block)))),
                Some(difference) => difference,
            };
            if reassigned(&metagraph, &shares, &found, set) {
                match self.metagraph_at(set)? {
                    Some(then) if compare(&then, &shares, &found).is_none() => {
                        return Ok(Held::Yes(stood(&found, set, newest.as_ref().map(|(block, _)| *block))));
                    }
                    Some(_) => {}
                    None => {
                        return unknown(format!(
                            "uids were given to others since block {set}, whose state this node no longer has; \
                             ask an archive node"
                        ));
                    }
                }
            }
            if newest.is_none()
                && set >= since
                && let Some(by) =
                    self.chain.revealed_by(&pin, netuid, set)?.filter(|by| *by > self.head.number)
            {
                return unknown(format!(
                    "what was set in block {set} is still hidden by commit–reveal; ask again from block {by} on"
                ));
            }
            let (newest_set, newest_difference) = newest.get_or_insert((set, difference));
            if set < since {
                return if *newest_set < since {
                    differs(format!(
                        "not on chain: {hotkey} last set weights in block {set}, before the day's block {since}"
                    ))
                } else {
                    differs(format!(
                        "what stands on chain since block {newest_set} differs: {newest_difference}"
                    ))
                };
            }
            match self.chain.pin_at(set.saturating_sub(1)) {
                Ok(earlier) => pin = earlier,
                Err(ChainError::Discarded { .. }) if self.is_of_a_later_day(set)? => {
                    return unknown(format!(
                        "set again in block {set}, after the day was over, and this node no longer has the state \
                         before; ask an archive node"
                    ));
                }
                Err(ChainError::Discarded { .. }) => {
                    return differs(format!(
                        "what stands on chain since block {newest_set} differs: {newest_difference}"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        unknown(format!("set again more than {STEPS} times since"))
    }

    /// The subnet at block `number`; `None`: the node no longer has its state.
    fn metagraph_at(&self, number: u64) -> Result<Option<Metagraph>, ChainError> {
        let read = |pin: Pin| self.chain.metagraph(&pin, self.record.netuid);
        match self.chain.pin_at(number).and_then(read) {
            Err(ChainError::Discarded { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether block `number` came after the next noon, or may have.
    fn is_of_a_later_day(&self, number: u64) -> Result<bool> {
        let end = noon(&next(&self.record.day)?)?;
        let time = self.chain.block(number)?.and_then(|block| block.timestamp_ms);
        Ok(time.is_none_or(|ms| (ms / 1000).cast_signed() >= end))
    }

    /// The digest that the signer committed for this day is the manifest's.
    fn digest(&self, manifest: Digest) -> Result<Held> {
        let (day, mut pin) = (&self.record.day, self.head);
        for _ in 0..STEPS {
            let found = self.chain.commitment_of(&pin, self.record.netuid, &self.hotkey)?;
            let of_day_or_later =
                found.filter(|(meaning, _)| matches!(meaning, Commitment::Day(seal) if seal.day >= *day));
            let Some((Commitment::Day(seal), block)) = of_day_or_later else {
                return Ok(Held::NotHere(format!("none of {day} is committed, which no rule demands")));
            };
            if seal.day == *day && seal.manifest == manifest {
                return Ok(Held::Yes(format!("{} committed in block {block}", manifest.short())));
            }
            if seal.day == *day {
                return Err(RunError::input(format!(
                    "{MANIFEST_FILE}: is {}, but {} was committed for {day} in block {block}",
                    manifest.short(),
                    seal.manifest.short()
                )));
            }
            match self.chain.pin_at(block.saturating_sub(1)) {
                Ok(earlier) => pin = earlier,
                Err(ChainError::Discarded { .. }) => {
                    return Ok(Held::NotHere(format!(
                        "that of {} replaced it in block {block}, and this node no longer has the state before; ask \
                         an archive node, or verify that day, which names this one",
                        seal.day
                    )));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Held::NotHere(format!("replaced more than {STEPS} times since")))
    }
}

/// How the weights on chain differ from `shares` joined with the uids of `metagraph`; `None`: they do not.
fn compare(metagraph: &Metagraph, shares: &[(AccountId, f64)], found: &[(u16, u16)]) -> Option<String> {
    let neurons = metagraph.neurons.iter().map(|neuron| (neuron.uid, neuron.hotkey));
    let wanted: Vec<(u16, u16)> = match join(neurons, shares) {
        Ok(joined) => joined.weights.iter().map(|weight| (weight.uid, weight.value)).collect(),
        Err(error) => return Some(error.to_string()),
    };
    let value = |list: &[(u16, u16)], uid| {
        list.iter().find(|(found, _)| *found == uid).map_or(0, |(_, value)| *value)
    };
    let mut uids: Vec<u16> = wanted.iter().chain(found).map(|(uid, _)| *uid).collect();
    uids.sort_unstable();
    let uid = uids.into_iter().find(|uid| value(&wanted, *uid) != value(found, *uid))?;
    Some(format!("uid {uid} has {}, and by {WEIGHTS_FILE} it is {}", value(found, uid), value(&wanted, uid)))
}

/// Whether somebody concerned was registered after block `set`, or is not any more.
fn reassigned(metagraph: &Metagraph, shares: &[(AccountId, f64)], found: &[(u16, u16)], set: u64) -> bool {
    let gone = shares.iter().any(|(hotkey, _)| metagraph.by_hotkey(hotkey).is_none());
    let newer =
        |uid: u16| metagraph.neurons.get(usize::from(uid)).is_none_or(|neuron| neuron.registered_at > set);
    gone || found.iter().any(|(uid, _)| newer(*uid))
}

/// Where they stand, in words.
fn stood(found: &[(u16, u16)], set: u64, replaced: Option<u64>) -> String {
    let replaced = replaced.map_or(String::new(), |block| format!("; others replaced them by block {block}"));
    format!("{} uids since block {set}{replaced}", found.len())
}
