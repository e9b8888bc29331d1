//! What a validator is doing, for people and programs; `prometheus.rs` says it for Prometheus.

use std::collections::BTreeMap;

use edgemaxx_contract::day::{DayRecord, Fate};
use edgemaxx_contract::weights::Origin;
use serde::{Deserialize, Serialize};

use crate::calendar::{next, noon};
use crate::machine::deadline;
use crate::policy::Policy;
use crate::state::{OnChain, Phase, State};
use crate::workers::Worker;
use crate::world::Measured;

/// A validator's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The day.
    pub day: String,
    /// How far it is.
    pub phase: Phase,
    /// Since when, seconds since 1970-01-01 UTC.
    pub since: i64,
    /// When the next day begins.
    pub next_noon: i64,
    /// Submissions by what became of them.
    pub submissions: Submissions,
    /// Pairs measured, of how many; `None` when nothing is measured.
    pub progress: Option<Progress>,
    /// What the weights are.
    pub weights: Option<WeightsStatus>,
    /// What does not work at the moment.
    pub trouble: Option<String>,
    /// Whether a validator runs.
    pub running: bool,
    /// When the chain was last read, and where it ended.
    pub contact: Option<Contact>,
    /// What somebody should look at, in words; empty: nothing.
    pub alarms: Vec<String>,
    /// The workers of the fleet that measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    /// Of several contests that decide the weights together: each one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contests: BTreeMap<String, Status>,
}

/// The last contact with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The finalised head.
    pub head: u64,
    /// When it was read, seconds since 1970-01-01 UTC.
    pub unix_s: i64,
}

/// Counts of submissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submissions {
    /// Not yet looked at.
    pub pending: u32,
    /// Measured.
    pub candidates: u32,
    /// Copies of earlier ones.
    pub copies: u32,
    /// That cannot be measured.
    pub invalid: u32,
    /// Commitments that say nothing.
    pub undecoded: u32,
    /// Entries for other contests.
    pub other_contests: u32,
    /// Of hotkeys that are not registered any more.
    pub unregistered: u32,
    /// Sealed, and not opened in time.
    #[serde(default)]
    pub sealed: u32,
}

/// How far a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Pairs done.
    pub done: u64,
    /// Of these: the plan's, less what eliminated candidates were spared; 0: not known yet.
    pub total: u64,
    /// Candidates that need no further session.
    pub eliminated: u32,
    /// Seconds left at the pace so far, at most until the deadline; `None` before there is a pace.
    pub left_s: Option<i64>,
    /// When that will be, seconds since 1970-01-01 UTC.
    pub ends: Option<i64>,
}

/// What the weights are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsStatus {
    /// The day that decided them.
    pub day: String,
    /// Where they come from.
    pub origin: Origin,
    /// Why.
    pub reason: String,
    /// Who won.
    pub winner: Option<String>,
    /// The block they stand in.
    pub block: Option<u64>,
    /// Their age, blocks; `None` where they or the head are not known.
    pub age_blocks: Option<u64>,
}

/// What a status is made from beside the state.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The chain's head when it was last read.
    pub contact: Option<Contact>,
    /// This machine's clock minus the chain's, seconds, where it was compared.
    pub skew_s: Option<i64>,
    /// What is measured.
    pub measured: Option<Measured>,
    /// What keeps the hotkey from setting weights, as long as nobody does something.
    pub hindrances: Vec<String>,
}

impl Status {
    /// The status of `state` at `now`.
    pub fn of(state: &State, seen: &Seen, now: i64, policy: &Policy) -> Self {
        let legacy = state.legacy();
        let weights = legacy.as_ref().map(|legacy| WeightsStatus {
            day: legacy.day.to_string(),
            origin: legacy.weights.origin,
            reason: legacy.weights.reason.clone(),
            winner: legacy.weights.winner.clone(),
            block: legacy.block,
            age_blocks: seen
                .contact
                .zip(legacy.block)
                .map(|(contact, block)| contact.head.saturating_sub(block)),
        });
        let submissions = state.record.as_ref().map(count).unwrap_or_default();
        let next_noon = match state.phase {
            Phase::Waiting => Ok(state.start),
            _ => next(&state.day).and_then(|day| noon(&day)),
        };
        let mut status = Self {
            day: state.day.to_string(),
            phase: state.phase,
            since: state.since,
            next_noon: next_noon.unwrap_or(state.since),
            submissions,
            progress: match seen.measured {
                Some(measured) if state.phase == Phase::Measuring => {
                    Some(progress(measured, now, deadline(&state.day, policy).unwrap_or(i64::MAX)))
                }
                _ => None,
            },
            weights,
            trouble: state.trouble.as_ref().map(|trouble| trouble.what.clone()),
            running: true,
            contact: seen.contact,
            alarms: Vec::new(),
            workers: Vec::new(),
            contests: BTreeMap::new(),
        };
        status.alarms = alarms(&status, state, seen, now, policy);
        status
    }

    /// The same with those of the contests that it is of together: their alarms are its own, and their weights stand where
    /// its own do.
    pub fn with(mut self, contests: impl IntoIterator<Item = (String, Status)>) -> Self {
        for (name, mut contest) in contests {
            self.alarms.extend(contest.alarms.iter().map(|alarm| format!("{name}: {alarm}")));
            if let (Some(own), Some(all)) = (&mut contest.weights, &self.weights)
                && own.day == all.day
            {
                own.block = all.block;
            }
            contest.running = self.running;
            self.contests.insert(name, contest);
        }
        self
    }
}

fn count(record: &DayRecord) -> Submissions {
    let mut counts = Submissions { undecoded: record.undecoded.len() as u32, ..Submissions::default() };
    for submission in &record.submissions {
        *match submission.fate {
            Fate::Pending => &mut counts.pending,
            Fate::Candidate { .. } => &mut counts.candidates,
            Fate::Copy { .. } => &mut counts.copies,
            Fate::Invalid { .. } => &mut counts.invalid,
            Fate::OtherContest { .. } => &mut counts.other_contests,
            Fate::Unregistered => &mut counts.unregistered,
            Fate::Sealed => &mut counts.sealed,
        } += 1;
    }
    counts
}

fn progress(measured: Measured, now: i64, deadline: i64) -> Progress {
    let Measured { done, total, eliminated, left_s } = measured;
    let left_s = left_s.map(|left| left.min(deadline.saturating_sub(now)).max(0));
    Progress { done, total, eliminated, left_s, ends: left_s.map(|left| now.saturating_add(left)) }
}

/// What somebody should look at. Each says the same as long as it lasts, since alarms are told apart by their words: none
/// holds a number that moves meanwhile.
fn alarms(status: &Status, state: &State, seen: &Seen, now: i64, policy: &Policy) -> Vec<String> {
    let mut alarms = Vec::new();
    let counts = &status.submissions;
    if let Some(record) = &state.record
        && counts.undecoded > 0
        && record.entries().next().is_none()
    {
        alarms.push(format!(
            "0 of {} commitments decode: is this release older than the miners'?",
            counts.undecoded
        ));
    }
    if let Some(why) = state.record.as_ref().and_then(|record| record.not_measured.as_ref()) {
        alarms.push(format!("nothing was measured: {why}"));
    }
    if let Some(weights) = state.weights.as_ref().filter(|weights| weights.origin != Origin::Earned) {
        alarms.push(format!("no weights were earned on {}: {}", weights.day, weights.reason));
    }
    if let Some(OnChain::NotSet { why }) = &state.on_chain {
        alarms.push(format!("the weights of {} were not set: {why}", state.day));
    }
    alarms.extend(seen.hindrances.iter().map(|why| format!("weights cannot be set: {why}")));
    if let Some(age) = status.weights.as_ref().and_then(|weights| weights.age_blocks)
        && age > policy.alarm_blocks
    {
        alarms.push(format!("the weights on chain are more than {} blocks old", policy.alarm_blocks));
    }
    // Whoever hangs, or has lost the chain, says nothing else that could be noticed.
    if status.contact.is_some_and(|contact| now - contact.unix_s > policy.contact_s) {
        alarms.push(format!("the chain was not read for more than {} min", policy.contact_s / 60));
    }
    if let Some(skew) = seen.skew_s.filter(|skew| skew.abs() > policy.skew_s) {
        let side = if skew > 0 { "ahead of" } else { "behind" };
        alarms.push(format!(
            "this machine's clock is more than {} s {side} the chain's; days follow the chain's",
            policy.skew_s
        ));
    }
    if let Some(trouble) = state.trouble.as_ref().filter(|trouble| trouble.attempts >= 5) {
        alarms.push(format!("tried again and again: {}", trouble.what));
    }
    alarms
}
