//! A validator's hands on the planet: its clock, chain, checkpoints, bench and pages.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{BlockRef, Undecoded};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::sealed_claim::sealed;
use edgemaxx_contract::weights::Weights;
use edgemaxx_validator::world::{
    Bench, BenchState, BenchTrouble, Chain, ChainTrouble, CheckpointTrouble, Checkpoints, Clock, Commitment,
    Compared, CopyOf, Head, Hindrance, Job, Measured, Pages, Seal, Snapshot,
};

use super::planet::{BLOCK_S, GENESIS, Miner, Planet, SALT, digest_of};
use super::verdict::finish;

/// A hand on the planet; every trait of the world.
#[derive(Clone)]
pub(crate) struct Hand(pub Rc<RefCell<Planet>>);

impl Clock for Hand {
    fn now(&self) -> i64 {
        let planet = self.0.borrow();
        planet.now + planet.clock_off
    }

    fn sleep(&mut self, seconds: u64) -> bool {
        self.0.borrow_mut().now += seconds as i64;
        true
    }
}

impl Chain for Hand {
    fn head(&mut self) -> Result<Head, ChainTrouble> {
        let planet = self.0.borrow();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        let number = planet.head();
        Ok(Head { number, unix_s: GENESIS + number as i64 * BLOCK_S })
    }

    fn block_at(&mut self, unix_s: i64) -> Result<Option<BlockRef>, ChainTrouble> {
        let head = self.head()?;
        let number = (unix_s - GENESIS).div_euclid(BLOCK_S) + i64::from((unix_s - GENESIS) % BLOCK_S != 0);
        let block = BlockRef {
            number: number as u64,
            hash: format!("0x{}", Digest::of(number.to_le_bytes())),
            unix_s: GENESIS + number * BLOCK_S,
        };
        Ok((block.number <= head.number).then_some(block))
    }

    fn snapshot(&mut self, block: &BlockRef) -> Result<Snapshot, ChainTrouble> {
        let planet = self.0.borrow();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        let begun = |miner: &Miner| miner.sealed.map_or(miner.block, |(sealed, _)| sealed);
        let commitments = planet.miners.iter().filter(|(_, miner)| begun(miner) <= block.number);
        Ok(Snapshot {
            registered: (0..).zip(planet.miners.keys().cloned().chain(["owner".to_owned()])).collect(),
            commitments: commitments
                .map(|(hotkey, miner)| {
                    let (hotkey, other_contest) = (hotkey.clone(), None);
                    match miner.sealed {
                        Some((sealed, opened)) if opened <= block.number => Commitment {
                            hotkey,
                            block: opened,
                            source: miner.source.clone(),
                            seal: Seal::Opened { block: sealed, salt: SALT },
                            other_contest,
                        },
                        Some((sealed, _)) => Commitment {
                            hotkey,
                            block: sealed,
                            source: format!("sealed:{}", miner.source),
                            seal: Seal::Closed,
                            other_contest,
                        },
                        None => Commitment {
                            hotkey,
                            block: miner.block,
                            source: miner.source.clone(),
                            seal: Seal::None,
                            other_contest,
                        },
                    }
                })
                .collect(),
            undecoded: planet
                .undecoded
                .iter()
                .map(|hotkey| Undecoded { hotkey: hotkey.clone(), reason: "version 2".to_owned() })
                .collect(),
        })
    }

    fn places(&mut self, _: u64, hotkeys: &[String]) -> Result<BTreeMap<String, u32>, ChainTrouble> {
        let planet = self.0.borrow();
        let place = |hotkey: &String| Some((hotkey.clone(), planet.miners.get(hotkey)?.index));
        Ok(hotkeys.iter().filter_map(place).collect())
    }

    fn sealed(&mut self, number: u64, hotkey: &str) -> Result<Vec<Digest>, ChainTrouble> {
        let planet = self.0.borrow();
        let miner = planet.miners.get(hotkey);
        let miner = miner.filter(|miner| miner.sealed.is_some_and(|(sealed, _)| sealed == number));
        let files = |miner: &Miner| planet.swapped.get(&miner.source).unwrap_or(&miner.source).clone();
        Ok(miner.map(|miner| sealed(hotkey, &digest_of(&files(miner)), &SALT)).into_iter().collect())
    }

    fn hindrances(&mut self) -> Result<Vec<Hindrance>, ChainTrouble> {
        Ok(self.0.borrow().hindrances.clone())
    }

    fn set_weights(&mut self, weights: &Weights, not_before: u64) -> Result<u64, ChainTrouble> {
        let mut planet = self.0.borrow_mut();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        if let Some(refuses) = &planet.refuses {
            return Err(refuses.clone());
        }
        if let Some((block, _)) = planet.set.last().filter(|(block, _)| *block >= not_before) {
            return Ok(*block);
        }
        // Final a little after what was final before.
        let block = planet.head() + 3;
        planet.set.push((block, weights.clone()));
        Ok(block)
    }

    fn commit_seal(&mut self, day: &Day, manifest: Digest) -> Result<u64, ChainTrouble> {
        let mut planet = self.0.borrow_mut();
        if planet.is_away() {
            return Err(ChainTrouble::Away("no answer".to_owned()));
        }
        if let Some(refuses) = &planet.refuses_seal {
            return Err(refuses.clone());
        }
        let seal = (day.clone(), manifest);
        if planet.seals.last() != Some(&seal) {
            planet.seals.push(seal);
        }
        Ok(planet.head() + 3)
    }
}

impl Checkpoints for Hand {
    fn prepare(&mut self, source: &str) -> Option<Result<Digest, CheckpointTrouble>> {
        let planet = self.0.borrow();
        let is_of = |list: &[String]| list.iter().any(|other| other == source);
        if is_of(&planet.slow) {
            return None;
        }
        Some(if is_of(&planet.invalid) {
            Err(CheckpointTrouble::Invalid("no model_index.json".to_owned()))
        } else if is_of(&planet.gone) {
            Err(CheckpointTrouble::Gone("the hub answered 404".to_owned()))
        } else if is_of(&planet.unreachable) {
            Err(CheckpointTrouble::Away("the hub answered 503".to_owned()))
        } else {
            Ok(digest_of(source))
        })
    }

    fn copies(&mut self, entries: &[(String, u64, String)], _: &str) -> Result<Compared, String> {
        let planet = self.0.borrow();
        // The work behind a source: whoever has the same repeats whoever came earlier.
        let work = |source: &String| planet.near.get(source).unwrap_or(source).clone();
        let mut found = Vec::new();
        for (later, (copy, _, source)) in entries.iter().enumerate() {
            let originals = entries[..later].iter().filter(|(_, _, other)| work(other) == work(source));
            found.extend(originals.map(|(original, ..)| CopyOf {
                copy: copy.clone(),
                original: original.clone(),
                how: "nearly the same weights".to_owned(),
            }));
        }
        let by_engine = entries.iter().filter(|(_, _, source)| planet.opaque.contains(source));
        let by_engine = by_engine.map(|(hotkey, ..)| hotkey.clone()).collect();
        Ok(Compared { copies: found, by_engine })
    }
}

impl Bench for Hand {
    fn advance(&mut self, job: &Job) -> Result<BenchState, BenchTrouble> {
        let mut planet = self.0.borrow_mut();
        if let Some(trouble) = &planet.bench_trouble {
            return Err(trouble.clone());
        }
        let now = planet.now;
        let since = *planet.started.get_or_insert(now);
        let total = job.contest.matches("[[candidate]]").count() as u64;
        let done = ((now - since) / planet.bench_s) as u64;
        let out_of_time = now + planet.clock_off >= job.deadline;
        if done < total && !out_of_time {
            let left_s = Some(since + total as i64 * planet.bench_s - now);
            return Ok(BenchState::Running(Measured { done, total, eliminated: 0, left_s }));
        }
        planet.started = None;
        let contest = Contest::parse(&job.contest).map_err(|e| BenchTrouble::Hopeless(e.to_string()))?;
        finish(&planet, &contest, &job.folder, &job.entropy);
        Ok(BenchState::Finished)
    }

    fn stop(&mut self) {}
}

impl Pages for Hand {
    fn write(&mut self, folder: &Path) -> Result<(), String> {
        assert!(folder.join("day.json").is_file() && folder.join("weights.json").is_file());
        std::fs::write(folder.join("report.html"), "the page").map_err(|error| error.to_string())
    }
}
