//! Weights and commitments as whole acts: plan against a pinned block, check, submit once, read back.

use edgemaxx_contract::digest::Digest;
use edgemaxx_seal::{AccountId, Keypair};
use serde::Serialize;

use super::call::Call;
use super::commitments::committed;
use super::connection::{Chain, Link};
use super::fetch::{self, SUBTENSOR};
use super::journal::Journal;
use super::metagraph::{hotkeys, storage_index};
use super::params::{block_seconds, facts, schedule};
use super::pin::{Pin, at, head};
use super::submit::{Landed, SubmitOptions};
use crate::ChainError;
use crate::weights::{Facts, Violation, WeightTriple, join, preflight, timelock};

/// What weights to set.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightsRequest {
    /// The subnet.
    pub netuid: u16,
    /// Its mechanism, 0 for most.
    pub mechanism: u8,
    /// Who sets them.
    pub hotkey: AccountId,
    /// Relative rewards by hotkey.
    pub rewards: Vec<(AccountId, f64)>,
    /// The version of the validator's rules; must not be older than the subnet's.
    pub version_key: u64,
}

/// How weights are set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// In the open.
    Plain,
    /// Sealed until a drand round.
    Timelocked {
        /// The block whose epoch reveals them.
        reveal_block: u64,
        /// The round.
        reveal_round: u64,
    },
}

/// Weights ready to be set, or the reasons why not. This is what a dry run shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightsPlan {
    /// The block everything was read at.
    pub pin: Pin,
    /// The subnet.
    pub netuid: u16,
    /// The mechanism.
    pub mechanism: u8,
    /// Who sets them.
    pub hotkey: AccountId,
    /// The weights, ascending by uid.
    pub weights: Vec<WeightTriple>,
    /// Rewarded hotkeys that are not registered any more.
    pub missing: Vec<AccountId>,
    /// The version key.
    pub version_key: u64,
    /// In the open or sealed.
    pub method: Method,
    /// `Pallet.call`.
    pub call: String,
    /// The call's exact bytes, hexadecimal with `0x`.
    pub call_bytes: String,
    /// What the rules were judged by.
    pub facts: Facts,
    /// Broken rules; empty: the chain should accept it.
    pub broken: Vec<Violation>,
    #[serde(skip)]
    payload: Option<Call>,
}

impl WeightsPlan {
    fn pairs(&self) -> Vec<(u16, u16)> {
        self.weights.iter().map(|w| (w.uid, w.value)).collect()
    }

    /// The same decision has the same intent, whatever nonce or encryption carries it.
    fn intent(&self) -> String {
        let mut fields = vec![
            b"weights".to_vec(),
            self.netuid.to_le_bytes().to_vec(),
            vec![self.mechanism],
            self.version_key.to_le_bytes().to_vec(),
        ];
        for weight in &self.weights {
            fields.push(weight.hotkey.0.to_vec());
            fields.push([weight.uid.to_le_bytes(), weight.value.to_le_bytes()].concat());
        }
        Digest::of_fields(fields.iter().map(|f| f.as_slice())).to_string()
    }
}

impl Chain {
    /// Plan weights at `pin`: join by hotkey, normalise, choose the method, check the chain's rules.
    ///
    /// # Errors
    /// When nothing can be planned; broken rules are no error but part of the plan.
    pub fn plan_weights(&self, pin: &Pin, request: &WeightsRequest) -> Result<WeightsPlan, ChainError> {
        self.read("what weights depend on", async |link| {
            let at = at(link, pin).await?;
            let &WeightsRequest { netuid, mechanism, hotkey, version_key, .. } = request;
            let neurons = hotkeys(link, &at, netuid).await?;
            let joined = join((0..).zip(neurons), &request.rewards)?;
            let pairs: Vec<(u16, u16)> = joined.weights.iter().map(|w| (w.uid, w.value)).collect();
            let facts = facts(link, &at, netuid, mechanism, &hotkey).await?;
            let (method, call) = if facts.commit_reveal {
                let (schedule, period) = schedule(link, &at, netuid).await?;
                let reveal_block = schedule.reveal_block(pin.number, period)?;
                // The chain's own clock: a wrong one here must not choose the round.
                let now = pin.timestamp_ms.unwrap_or(0) as f64 / 1000.0;
                let reveal_round = timelock::reveal_round(now, pin.number, reveal_block, block_seconds(&at));
                let sealed = timelock::seal(&hotkey, &pairs, version_key, reveal_round)?;
                (
                    Method::Timelocked { reveal_block, reveal_round },
                    Call::commit_timelocked(netuid, mechanism, &sealed, reveal_round),
                )
            } else if mechanism == 0 {
                (Method::Plain, Call::set_weights(netuid, &pairs, version_key))
            } else {
                (Method::Plain, Call::set_mechanism_weights(netuid, mechanism, &pairs, version_key))
            };
            let name = call.name();
            if !name.split_once('.').is_some_and(|(p, c)| fetch::has_call(&at, p, c)) {
                return Err(ChainError::Missing { what: name, spec: pin.spec_version });
            }
            let bytes = call.encode(&at.transactions())?;
            let sealed = matches!(method, Method::Timelocked { .. });
            Ok(WeightsPlan {
                pin: *pin,
                netuid,
                mechanism,
                hotkey,
                broken: preflight(&facts, mechanism, &pairs, version_key, sealed),
                weights: joined.weights,
                missing: joined.missing,
                version_key,
                method,
                call: name,
                call_bytes: bytes.iter().fold("0x".to_owned(), |s, b| s + &format!("{b:02x}")),
                facts,
                payload: Some(call),
            })
        })
    }

    /// Set planned weights once, wait for finality and read them back. Repeating it after a time-out or a crash
    /// is safe: what landed within the subnet's rate limit is not set again.
    ///
    /// # Errors
    /// When a rule is broken (nothing is signed), the chain says no, or the outcome is not known yet.
    pub fn set_weights(
        &self,
        plan: &WeightsPlan,
        key: &Keypair,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<Landed, ChainError> {
        // A repetition within the rate limit is judged by the journal, not refused for being too early.
        let early = |v: &Violation| v.rule == crate::weights::Rule::SettingWeightsTooFast;
        let known = journal.open_attempts(&key.account()).iter().any(|a| a.intent == plan.intent())
            || journal.landed(&key.account(), &plan.intent()).is_some();
        let broken: Vec<_> = plan.broken.iter().filter(|v| !(known && early(v))).cloned().collect();
        if !broken.is_empty() || key.account() != plan.hotkey {
            return Err(ChainError::Preflight { broken });
        }
        let Some(call) = &plan.payload else { return Err(ChainError::Preflight { broken }) };
        let fresh_for = plan.facts.rate_limit.max(options.mortality);
        let landed = self.submit(call, &plan.intent(), fresh_for, key, journal, options)?;
        if plan.method == Method::Plain {
            self.confirm_weights(plan, &landed)?;
        }
        Ok(landed)
    }

    fn confirm_weights(&self, plan: &WeightsPlan, landed: &Landed) -> Result<(), ChainError> {
        let Some(uid) = plan.facts.uid else { return Ok(()) };
        let found = self.read("the weights just set", async |link: &Link| {
            let at = head(link).await?;
            let index = storage_index(plan.netuid, plan.mechanism);
            let set: Option<Vec<(u16, u16)>> =
                fetch::value(link, &at, SUBTENSOR, "Weights", (index, uid)).await?;
            Ok((at.block_number(), set.unwrap_or_default()))
        })?;
        if found.0 >= landed.block && found.1 != plan.pairs() {
            return Err(ChainError::ReadBack {
                call: plan.call.clone(),
                block: found.0,
                found: format!("{:?}", found.1),
            });
        }
        Ok(())
    }

    /// The weights `uid` has set, as `(uid, value)`, and nothing where it has set none.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub fn weights_of(
        &self,
        pin: &Pin,
        netuid: u16,
        mechanism: u8,
        uid: u16,
    ) -> Result<Vec<(u16, u16)>, ChainError> {
        self.read("weights", async |link| {
            let at = at(link, pin).await?;
            let index = storage_index(netuid, mechanism);
            let set = fetch::value(link, &at, SUBTENSOR, "Weights", (index, uid)).await?;
            Ok(set.unwrap_or_default())
        })
    }

    /// Commit `bytes` once, wait for finality and read them back. What stands on chain already is not repeated.
    ///
    /// # Errors
    /// When the chain says no, or the outcome is not known yet.
    pub fn set_commitment(
        &self,
        netuid: u16,
        bytes: &[u8],
        key: &Keypair,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<Landed, ChainError> {
        let call = Call::set_commitment(netuid, bytes)?;
        let account = key.account();
        self.settle_open(&account, journal, options)?;
        let look = || {
            self.read("the commitment", async |link: &Link| {
                let at = head(link).await?;
                let found = committed(link, &at, netuid, &account).await?;
                Ok((at.block_number(), found))
            })
        };
        if let (_, Some((found, block))) = look()?
            && found == bytes
        {
            return Ok(Landed { block, already: true });
        }
        let intent = Digest::of_fields([b"commitment".as_slice(), &netuid.to_le_bytes(), bytes]);
        let landed = self.submit(&call, &intent.to_string(), 0, key, journal, options)?;
        match look()? {
            (_, Some((found, _))) if found == bytes => Ok(landed),
            (block, found) => {
                Err(ChainError::ReadBack { call: call.name(), block, found: format!("{found:02x?}") })
            }
        }
    }
}
