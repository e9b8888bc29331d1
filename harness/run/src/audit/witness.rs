//! What a chain says about a sealed day: the weights that its signer set, the digest that it committed.

use std::path::Path;

use edgemaxx_chain::commitment::Commitment;
use edgemaxx_chain::weights::join;
use edgemaxx_chain::{ChainError, Metagraph, Pin};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_seal::AccountId;
use edgemaxx_seal::manifest::MANIFEST_FILE;
use edgemaxx_validator::calendar::{next, noon};

use super::check::Held;
use super::first_block::{ARCHIVE, NO_BLOCK};
use crate::error::{InFile as _, Result, RunError};

/// How often weights or digests that replaced the day's are looked behind.
const STEPS: u32 = 400;

/// A subnet's states, block by block.
pub(super) trait States {
    /// The last final block.
    fn head(&self) -> Result<Pin, ChainError>;
    /// An earlier one.
    fn pin_at(&self, number: u64) -> Result<Pin, ChainError>;
    /// Who is registered.
    fn metagraph(&self, pin: &Pin) -> Result<Metagraph, ChainError>;
    /// The weights that a neuron set.
    fn weights_of(&self, pin: &Pin, uid: u16) -> Result<Vec<(u16, u16)>, ChainError>;
    /// The block by which what was set in block `set` is revealed, where it is hidden first.
    fn revealed_by(&self, pin: &Pin, set: u64) -> Result<Option<u64>, ChainError>;
    /// What a hotkey committed, and the block.
    fn commitment_of(&self, pin: &Pin, hotkey: &AccountId) -> Result<Option<(Commitment, u64)>, ChainError>;
    /// A block's time, milliseconds since 1970, where it is known.
    fn time_ms(&self, number: u64) -> Result<Option<u64>, ChainError>;
}

/// What the chain says about a day.
pub(super) struct Witness<'a> {
    states: &'a dyn States,
    head: Pin,
    /// Who signed the day.
    hotkey: AccountId,
    netuid: u16,
    day: Day,
    /// The block at which its submissions closed.
    since: Option<u64>,
}

impl<'a> Witness<'a> {
    /// Who signed the day at `run`, and what the chain says by now.
    pub(super) fn of(
        states: &'a dyn States,
        run: &Path,
        signer: &str,
        netuid: u16,
        day: Day,
        since: Option<u64>,
    ) -> Result<Self> {
        let hotkey = signer.parse::<AccountId>().in_file(&run.join(MANIFEST_FILE))?;
        Ok(Self { states, head: states.head()?, hotkey, netuid, day, since })
    }

    /// The weights that the signer set are the decided ones: now, or before a later day replaced them.
    pub(super) fn weights(&self, decided: &Weights) -> Result<Held> {
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
            let metagraph = self.states.metagraph(&pin)?;
            let Some(neuron) = metagraph.by_hotkey(&hotkey) else {
                return unknown(not_registered(&hotkey, netuid, &pin));
            };
            let (set, found) = (neuron.last_update, self.states.weights_of(&pin, neuron.uid)?);
            let mut difference = compare(&metagraph, &shares, &found);
            if reassigned(&metagraph, &shares, &found, set) {
                // Uids are those of when the weights were set; where nobody knows them, who is still there got his share.
                difference = match (self.metagraph_at(set)?, difference) {
                    (Some(then), _) => compare(&then, &shares, &found),
                    (None, None) => None,
                    (None, Some(_)) => {
                        return unknown(format!(
                            "uids were given to others since block {set}, whose state this node no longer has; {ARCHIVE}"
                        ));
                    }
                };
            }
            let Some(difference) = difference else {
                return Ok(Held::Yes(stood(&found, set, newest.as_ref().map(|(block, _)| *block))));
            };
            if newest.is_none()
                && set >= since
                && let Some(by) = self.states.revealed_by(&pin, set)?.filter(|by| *by > self.head.number)
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
            match self.states.pin_at(set.saturating_sub(1)) {
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
        let Some(since) = self.since else { return Ok(Held::Unknown(NO_BLOCK.to_owned())) };
        let (netuid, mut pin) = (self.netuid, self.head);
        let mut before = None;
        for _ in 0..STEPS {
            let metagraph = self.states.metagraph(&pin)?;
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
                    None => match self.states.pin_at(since) {
                        Ok(at) => before.insert(self.states.weights_of(&at, neuron.uid)?),
                        Err(ChainError::Discarded { .. }) => return pruned(),
                        Err(error) => return Err(error.into()),
                    },
                };
                if *stood != self.states.weights_of(&pin, neuron.uid)? {
                    return Err(RunError::input(format!(
                        "{WEIGHTS_FILE}: decides to set none, but others than stood were set in block {set}"
                    )));
                }
            }
            match self.states.pin_at(set.saturating_sub(1)) {
                Ok(earlier) => pin = earlier,
                Err(ChainError::Discarded { .. }) => return pruned(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Held::Unknown(format!("set again more than {STEPS} times since")))
    }

    /// The subnet at block `number`; `None`: the node no longer has its state.
    fn metagraph_at(&self, number: u64) -> Result<Option<Metagraph>, ChainError> {
        let read = |pin: Pin| self.states.metagraph(&pin);
        match self.states.pin_at(number).and_then(read) {
            Err(ChainError::Discarded { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether block `number` came after the next noon, or may have.
    fn is_of_a_later_day(&self, number: u64) -> Result<bool> {
        let end = noon(&next(&self.day)?)?;
        let time = self.states.time_ms(number)?;
        Ok(time.is_none_or(|ms| (ms / 1000).cast_signed() >= end))
    }

    /// The digest that the signer committed for this day is the manifest's.
    pub(super) fn digest(&self, manifest: Digest) -> Result<Held> {
        let (day, mut pin) = (&self.day, self.head);
        for _ in 0..STEPS {
            let found = self.states.commitment_of(&pin, &self.hotkey)?;
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
            match self.states.pin_at(block.saturating_sub(1)) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use edgemaxx_chain::Neuron;
    use edgemaxx_chain::commitment::DaySeal;
    use edgemaxx_contract::format::Document as _;
    use edgemaxx_contract::weights::{Origin, entries};

    use super::*;
    use crate::audit::check::said;

    const DAY: &str = "2026-11-22";
    /// The block at which the day's submissions closed, and the first one after its end.
    const SINCE: u64 = 100;
    const OVER: u64 = 200;
    const NETUID: u16 = 39;

    type Values = Vec<(u16, u16)>;

    fn key(n: u8) -> AccountId {
        AccountId([n; 32])
    }

    fn day(of: &str) -> Day {
        of.parse().unwrap()
    }

    /// A subnet whose states are written down.
    struct Told {
        head: u64,
        /// The first block whose state is kept.
        kept: u64,
        /// By uid: who holds it from which block on.
        holders: Vec<Vec<(u64, u8)>>,
        /// What key 1, who holds uid 0, set in which block.
        sets: BTreeMap<u64, Values>,
        /// What it committed in which block.
        seals: BTreeMap<u64, DaySeal>,
        revealed: Option<u64>,
        /// Whether blocks have a time.
        timed: bool,
    }

    impl States for Told {
        fn head(&self) -> Result<Pin, ChainError> {
            self.pin_at(self.head)
        }

        fn pin_at(&self, number: u64) -> Result<Pin, ChainError> {
            if number < self.kept {
                return Err(ChainError::Discarded { endpoint: "node".to_owned(), block: number });
            }
            Ok(Pin { number, hash: Default::default(), spec_version: 1, timestamp_ms: None })
        }

        fn metagraph(&self, pin: &Pin) -> Result<Metagraph, ChainError> {
            let set = self.sets.range(..=pin.number).next_back().map_or(0, |(block, _)| *block);
            let neuron = |(uid, holders): (u16, &Vec<(u64, u8)>)| {
                let (registered_at, holder) = holders.iter().rfind(|(from, _)| *from <= pin.number)?;
                let (hotkey, coldkey) = (key(*holder), key(0));
                let last_update = if uid == 0 { set } else { 0 };
                let registered_at = *registered_at;
                Some(Neuron { uid, hotkey, coldkey, permit: true, stake: 0, last_update, registered_at })
            };
            let neurons = (0..).zip(&self.holders).filter_map(neuron).collect();
            Ok(Metagraph { netuid: NETUID, pin: *pin, neurons })
        }

        fn weights_of(&self, pin: &Pin, uid: u16) -> Result<Values, ChainError> {
            assert_eq!(uid, 0);
            Ok(self.sets.range(..=pin.number).next_back().map_or(Vec::new(), |(_, values)| values.clone()))
        }

        fn revealed_by(&self, _: &Pin, _: u64) -> Result<Option<u64>, ChainError> {
            Ok(self.revealed)
        }

        fn commitment_of(
            &self,
            pin: &Pin,
            hotkey: &AccountId,
        ) -> Result<Option<(Commitment, u64)>, ChainError> {
            assert_eq!(*hotkey, key(1));
            let seal = self.seals.range(..=pin.number).next_back();
            Ok(seal.map(|(block, seal)| (Commitment::Day(seal.clone()), *block)))
        }

        /// A millisecond a block, and the next noon at `OVER`.
        fn time_ms(&self, number: u64) -> Result<Option<u64>, ChainError> {
            let noon = noon(&next(&day(DAY)).unwrap()).unwrap().cast_unsigned();
            Ok(self.timed.then_some(1000 * noon + number - OVER))
        }
    }

    fn told() -> Told {
        Told {
            head: 300,
            kept: 0,
            holders: [1, 2, 3, 5].map(|holder| vec![(1, holder)]).into(),
            sets: BTreeMap::new(),
            seals: BTreeMap::new(),
            revealed: None,
            timed: true,
        }
    }

    /// Three quarters for key 2, a quarter for key 3.
    fn good() -> Values {
        vec![(1, 65535), (2, 21845)]
    }

    fn other() -> Values {
        vec![(1, 65535)]
    }

    fn asked<'a>(told: &'a Told, signer: u8, since: Option<u64>) -> Witness<'a> {
        Witness::of(told, Path::new("run"), &key(signer).to_ss58(), NETUID, day(DAY), since).unwrap()
    }

    fn decided(shares: &[(u8, f64)]) -> Weights {
        Weights {
            format: Weights::expected_format(),
            day: day(DAY),
            origin: Origin::Earned,
            reason: "a test".to_owned(),
            ranking: None,
            earned: None,
            share: None,
            winner: None,
            entries: entries(shares.iter().map(|(n, share)| (key(*n).to_ss58(), *share))),
        }
    }

    type Case = (&'static str, &'static str, fn(&mut Told));

    fn each(cases: &[Case], ask: impl Fn(&Told) -> Result<Held>) {
        for (verdict, words, change) in cases {
            let mut told = told();
            change(&mut told);
            let found = said(ask(&told));
            assert!(found.0 == *verdict && found.1.contains(words), "{verdict} {words}: {found:?}");
        }
    }

    #[test]
    fn decided_weights_stand_or_stood_until_others_replaced_them() {
        let cases: &[Case] = &[
            ("yes", "2 uids since block 110", |t| t.sets = [(110, good())].into()),
            ("yes", "2 uids since block 110; others replaced them by block 210", |t| {
                t.sets = [(110, good()), (210, other())].into();
            }),
            ("yes", "2 uids since block 50; others replaced them by block 100", |t| {
                t.sets = [(50, good()), (100, other())].into();
            }),
            ("no", "since block 110 differs: uid 2 has 0, and by weights.json it is 21845", |t| {
                t.sets = [(50, other()), (110, other())].into();
            }),
            ("no", "since block 100 differs", |t| t.sets = [(100, other())].into()),
            ("no", "last set weights in block 50, before the day's block 100", |t| {
                (t.sets, t.revealed) = ([(50, other())].into(), Some(301));
            }),
            // What is hidden may be revealed yet.
            (
                "unknown",
                "in block 100 is still hidden by commit–reveal; ask again from block 301 on",
                |t| {
                    (t.sets, t.revealed) = ([(100, other())].into(), Some(301));
                },
            ),
            ("no", "since block 100 differs", |t| {
                (t.sets, t.revealed) = ([(100, other())].into(), Some(300));
            }),
            ("no", "since block 100 differs", |t| {
                (t.sets, t.revealed) = ([(100, other())].into(), Some(299));
            }),
            // What a node has thrown away proves nothing, once the day was over.
            ("unknown", "set again in block 200, after the day was over", |t| {
                (t.sets, t.kept) = ([(110, good()), (OVER, other())].into(), OVER);
            }),
            ("no", "since block 199 differs", |t| {
                (t.sets, t.kept) = ([(110, good()), (OVER - 1, other())].into(), OVER - 1);
            }),
            ("unknown", "set again in block 150, after the day was over", |t| {
                (t.sets, t.kept, t.timed) = ([(150, other())].into(), 150, false);
            }),
        ];
        each(cases, |told| asked(told, 1, Some(SINCE)).weights(&decided(&[(2, 0.75), (3, 0.25)])));
        let found = said(asked(&told(), 9, Some(SINCE)).weights(&decided(&[(2, 1.0)])));
        let expected = format!("{} is not registered on netuid 39 at block 300", key(9));
        assert_eq!(found, ("unknown", expected));
    }

    #[test]
    fn uids_are_those_of_when_the_weights_were_set() {
        let cases: &[Case] = &[
            ("yes", "2 uids since block 110", |t| {
                (t.sets, t.holders[2]) = ([(110, good())].into(), vec![(1, 3), (130, 4)]);
            }),
            // Key 3 came back with another uid.
            ("yes", "2 uids since block 110", |t| {
                t.sets = [(110, good())].into();
                (t.holders[2], t.holders[3]) = (vec![(1, 3), (130, 4)], vec![(1, 5), (130, 3)]);
            }),
            // Who was left out has left since, and who is there now was not meant.
            ("no", "since block 110 differs: uid 2 has 0, and by weights.json it is 21845", |t| {
                (t.sets, t.holders[2]) = ([(110, other())].into(), vec![(1, 3), (130, 4)]);
            }),
            ("no", "since block 110 differs: uid 2 has 21845, and by weights.json it is 0", |t| {
                (t.sets, t.holders[2]) = ([(110, good())].into(), vec![(1, 9), (130, 3)]);
            }),
            ("unknown", "uids were given to others since block 110", |t| {
                (t.sets, t.kept) = ([(110, good())].into(), 120);
                (t.holders[2], t.holders[3]) = (vec![(1, 3), (130, 4)], vec![(1, 5), (130, 3)]);
            }),
            ("yes", "1 uids since block 110", |t| {
                (t.sets, t.kept, t.holders[2]) = ([(110, other())].into(), 120, vec![(1, 3), (130, 4)]);
            }),
            // Who came with that very block, and those who were there before, have what was set.
            ("no", "since block 110 differs", |t| (t.sets, t.kept) = ([(110, other())].into(), 120)),
            ("no", "since block 110 differs", |t| {
                (t.sets, t.kept, t.holders[1]) = ([(110, other())].into(), 120, vec![(110, 2)]);
            }),
        ];
        each(cases, |told| asked(told, 1, Some(SINCE)).weights(&decided(&[(2, 0.75), (3, 0.25)])));
    }

    #[test]
    fn who_decides_to_set_none_leaves_what_stood() {
        let cases: &[Case] = &[
            ("yes", "what stood was left", |t| t.sets = [(50, good())].into()),
            ("yes", "what stood was left", |t| t.sets = [(50, good()), (120, good())].into()),
            ("no", "others than stood were set in block 120", |t| {
                t.sets = [(50, good()), (120, other())].into();
            }),
            ("yes", "what stood was left", |t| t.sets = [(50, good()), (OVER, other())].into()),
            ("unknown", "weights were set in block 100, and this node", |t| {
                (t.sets, t.kept) = ([(SINCE, good())].into(), SINCE);
            }),
            ("unknown", "weights were set in block 120, and this node", |t| {
                (t.sets, t.kept) = ([(120, good())].into(), 110);
            }),
            ("unknown", "weights were set in block 210, and this node", |t| {
                (t.sets, t.kept) = ([(210, good())].into(), 210);
            }),
        ];
        each(cases, |told| asked(told, 1, Some(SINCE)).weights(&decided(&[])));
        assert_eq!(said(asked(&told(), 1, None).weights(&decided(&[]))).1, NO_BLOCK);
        let found = said(asked(&told(), 9, Some(SINCE)).weights(&decided(&[])));
        assert!(found.0 == "unknown" && found.1.contains("is not registered"), "{found:?}");
    }

    #[test]
    fn the_committed_digest_is_the_days_or_there_is_none() {
        let seal = |of: &str, manifest: &str| DaySeal { day: day(of), manifest: Digest::of(manifest) };
        let own = Digest::of("own");
        for (verdict, words, kept, seals) in [
            ("yes", "committed in block 120", 0, vec![(120, seal(DAY, "own"))]),
            ("not here", "none of 2026-11-22 is committed", 0, vec![]),
            ("not here", "none of 2026-11-22 is committed", 0, vec![(90, seal("2026-11-21", "own"))]),
            ("no", "was committed for 2026-11-22 in block 120", 0, vec![(120, seal(DAY, "another"))]),
            (
                "yes",
                "committed in block 120",
                0,
                vec![(120, seal(DAY, "own")), (250, seal("2026-11-23", "next"))],
            ),
            ("not here", "none of 2026-11-22", 0, vec![(250, seal("2026-11-23", "own"))]),
            (
                "unknown",
                "that of 2026-11-23 replaced it in block 250",
                250,
                vec![(120, seal(DAY, "own")), (250, seal("2026-11-23", "next"))],
            ),
        ] {
            let told = Told { kept, seals: seals.into_iter().collect(), ..told() };
            let found = said(asked(&told, 1, Some(SINCE)).digest(own));
            assert!(found.0 == verdict && found.1.contains(words), "{verdict} {words}: {found:?}");
        }
    }
}
