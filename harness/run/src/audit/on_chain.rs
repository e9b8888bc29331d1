//! A sealed day against the chain: the block that its entropy comes from, the weights, the digest beside them.

use std::path::Path;

use edgemaxx_chain::commitment::Commitment;
use edgemaxx_chain::weights::join;
use edgemaxx_chain::{Chain, ChainError, Metagraph, Pin};
use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::AccountId;
use edgemaxx_seal::manifest::{self, MANIFEST_FILE};
use edgemaxx_validator::calendar::{next, noon};

use super::check::{Check, Checks, Held};
use super::day::document;
use super::first_block::{ARCHIVE, first_at};
use super::part;
use super::submitted;
use crate::error::{Class, InFile as _, Result, RunError};

/// How often weights or digests that replaced the day's are looked behind.
const STEPS: u32 = 400;

/// The checks of a day against `chain` up to the first that fails.
///
/// # Errors
/// When the chain cannot be asked.
pub fn on_chain(run: &Path, chain: &Chain) -> Result<Vec<Check>> {
    let mut checks = Checks::default();
    let (manifest, digest) = manifest::read(run)?;
    let signer = manifest.signature.map(|signature| signature.hotkey);
    if run.join(JOINT_FILE).exists() {
        let joint: Joint = document(run, JOINT_FILE)?;
        let signer = signer.unwrap_or_else(|| joint.validator.clone());
        let witness = Witness::of(chain, run, &signer, joint.netuid, joint.day, joint.since)?;
        let weights = || witness.weights(&document(run, WEIGHTS_FILE)?);
        all(&mut checks, &[("weights on chain", &weights), ("digest on chain", &|| witness.digest(digest))])?;
        return Ok(checks.0);
    }
    if !run.join(DAY_FILE).exists() {
        let why = format!("there is no {DAY_FILE}: a run by hand, of which nothing is on chain");
        checks.add("chain", Ok(Held::Unknown(why)));
        return Ok(checks.0);
    }
    let record: DayRecord = document(run, DAY_FILE)?;
    let block = || match &record.block {
        Some(block) => first_at(chain, block, record.closed_unix_s),
        None => Ok(Held::Unknown(submitted::NO_BLOCK.to_owned())),
    };
    let left_out = || submitted::nobody_left_out(run, chain, &record);
    if !all(&mut checks, &[("block on chain", &block), ("nobody left out", &left_out)])? {
        return Ok(checks.0);
    }
    let since = record.block.as_ref().map(|block| block.number);
    let name = signer.clone().unwrap_or_else(|| record.validator.clone());
    let witness = Witness::of(chain, run, &name, record.netuid, record.day.clone(), since)?;
    let decided: Weights = document(run, WEIGHTS_FILE)?;
    let Some(share) = decided.share else {
        let weights = || witness.weights(&decided);
        all(&mut checks, &[("weights on chain", &weights), ("digest on chain", &|| witness.digest(digest))])?;
        return Ok(checks.0);
    };
    let day = record.day.to_string();
    let Some(whole) = part::of(run, &day)? else {
        let why = format!(
            "they are {:.1}% of those of all contests, whose day {day} is not here; have it above this contest's days",
            100.0 * share
        );
        checks.add("weights on chain", Ok(Held::Unknown(why)));
        return Ok(checks.0);
    };
    let (_, of_all) = manifest::read(&whole)?;
    let counts = || part::counts(&whole, signer.as_deref(), digest, share);
    let weights = || witness.weights(&document(&whole, WEIGHTS_FILE)?);
    all(
        &mut checks,
        &[
            ("part of all contests", &counts),
            ("weights on chain", &weights),
            ("digest on chain", &|| witness.digest(of_all)),
        ],
    )?;
    Ok(checks.0)
}

/// Notes these checks up to the first that fails; `false`: one did.
fn all(checks: &mut Checks, steps: &[(&'static str, &dyn Fn() -> Result<Held>)]) -> Result<bool> {
    for (what, step) in steps {
        match step() {
            Err(error) if error.class() == Class::Chain => return Err(error),
            result => {
                if !checks.add(what, result) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// What the chain says about a day.
struct Witness<'a> {
    chain: &'a Chain,
    head: Pin,
    /// Who signed the day.
    hotkey: AccountId,
    netuid: u16,
    day: Day,
    /// The block at which its submissions closed.
    since: Option<u64>,
}

impl<'a> Witness<'a> {
    fn of(
        chain: &'a Chain,
        run: &Path,
        signer: &str,
        netuid: u16,
        day: Day,
        since: Option<u64>,
    ) -> Result<Self> {
        let hotkey = signer.parse::<AccountId>().in_file(&run.join(MANIFEST_FILE))?;
        Ok(Self { chain, head: chain.pin()?, hotkey, netuid, day, since })
    }

    /// The weights that the signer set are the decided ones: now, or before a later day replaced them.
    fn weights(&self, decided: &Weights) -> Result<Held> {
        let unknown = |why: String| Ok(Held::Unknown(why));
        let differs = |problem: String| Err(RunError::input(format!("{WEIGHTS_FILE}: {problem}")));
        if decided.entries.is_empty() {
            return self.none_set();
        }
        let mut shares = Vec::new();
        for entry in &decided.entries {
            let hotkey = entry.hotkey.parse::<AccountId>().in_file(Path::new(WEIGHTS_FILE))?;
            shares.push((hotkey, entry.share));
        }
        let (since, netuid, hotkey) = (self.since.unwrap_or(0), self.netuid, self.hotkey);
        let mut pin = self.head;
        // The block and the first difference of what stands now.
        let mut newest: Option<(u64, String)> = None;
        for _ in 0..STEPS {
            let metagraph = self.chain.metagraph(&pin, netuid)?;
            let Some(neuron) = metagraph.by_hotkey(&hotkey) else {
                return unknown(not_registered(&hotkey, netuid, &pin));
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
                            "uids were given to others since block {set}, whose state this node no longer has; {ARCHIVE}"
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
                         before; {ARCHIVE}"
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

    /// A day that decided to set no weights left those that stood: since its block none were set, or the same ones again.
    fn none_set(&self) -> Result<Held> {
        let Some(since) = self.since else { return Ok(Held::Unknown(submitted::NO_BLOCK.to_owned())) };
        let (netuid, mut pin) = (self.netuid, self.head);
        let mut before = None;
        for _ in 0..STEPS {
            let metagraph = self.chain.metagraph(&pin, netuid)?;
            let Some(neuron) = metagraph.by_hotkey(&self.hotkey) else {
                return Ok(Held::Unknown(not_registered(&self.hotkey, netuid, &pin)));
            };
            let set = neuron.last_update;
            if set < since {
                return Ok(Held::Yes("the day decided to set none, and what stood was left".to_owned()));
            }
            let pruned = || {
                Ok(Held::Unknown(format!(
                    "the day decided to set none; weights were set in block {set}, and this node no longer has the \
                     state before; {ARCHIVE}"
                )))
            };
            if !self.is_of_a_later_day(set)? {
                let stood = match &before {
                    Some(stood) => stood,
                    None => match self.chain.pin_at(since) {
                        Ok(at) => before.insert(self.chain.weights_of(&at, netuid, 0, neuron.uid)?),
                        Err(ChainError::Discarded { .. }) => return pruned(),
                        Err(error) => return Err(error.into()),
                    },
                };
                if *stood != self.chain.weights_of(&pin, netuid, 0, neuron.uid)? {
                    return Err(RunError::input(format!(
                        "{WEIGHTS_FILE}: decides to set none, but others than stood were set in block {set}"
                    )));
                }
            }
            match self.chain.pin_at(set.saturating_sub(1)) {
                Ok(earlier) => pin = earlier,
                Err(ChainError::Discarded { .. }) => return pruned(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Held::Unknown(format!("set again more than {STEPS} times since")))
    }

    /// The subnet at block `number`; `None`: the node no longer has its state.
    fn metagraph_at(&self, number: u64) -> Result<Option<Metagraph>, ChainError> {
        let read = |pin: Pin| self.chain.metagraph(&pin, self.netuid);
        match self.chain.pin_at(number).and_then(read) {
            Err(ChainError::Discarded { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether block `number` came after the next noon, or may have.
    fn is_of_a_later_day(&self, number: u64) -> Result<bool> {
        let end = noon(&next(&self.day)?)?;
        let time = self.chain.block(number)?.and_then(|block| block.timestamp_ms);
        Ok(time.is_none_or(|ms| (ms / 1000).cast_signed() >= end))
    }

    /// The digest that the signer committed for this day is the manifest's.
    fn digest(&self, manifest: Digest) -> Result<Held> {
        let (day, mut pin) = (&self.day, self.head);
        for _ in 0..STEPS {
            let found = self.chain.commitment_of(&pin, self.netuid, &self.hotkey)?;
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
                    return Ok(Held::Unknown(format!(
                        "that of {} replaced it in block {block}, and this node no longer has the state before; \
                         {ARCHIVE}, or verify that day, which names this one",
                        seal.day
                    )));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Held::Unknown(format!("replaced more than {STEPS} times since")))
    }
}

fn not_registered(hotkey: &AccountId, netuid: u16, pin: &Pin) -> String {
    format!("{hotkey} is not registered on netuid {netuid} at block {}", pin.number)
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
