//! The machine: what is to be done next, and what follows from what happened. Pure; a validator
//! that was killed asks the same question again and does the same thing again.

use edgemaxx_contract::day::{DayRecord, Fate, NOT_THERE, OUT_OF_REACH};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::{Origin, Weights};

use crate::calendar::{CalendarError, next, noon};
use crate::policy::Policy;
use crate::state::{OnChain, Phase, State, Trouble, Unreachable};

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time")]
pub enum Step {
    /// Nothing before this moment.
    Wait {
        /// Seconds since 1970-01-01 UTC.
        until: i64,
    },
    /// Read the chain at noon's block.
    Collect,
    /// Tell equal submissions apart.
    Deduplicate,
    /// Fetch and check these checkpoints, each for itself: hotkey and source.
    Prepare {
        /// Whose and what, the earliest first.
        pending: Vec<(String, String)>,
    },
    /// Look for near copies among what was prepared.
    Compare,
    /// Begin the contest, or see how it is doing.
    Measure,
    /// Read its result.
    Analyse,
    /// Decide, seal, publish.
    Publish,
    /// Look where the chain ends, before the weights are first tried to be set.
    LookBeforeSetting,
    /// Set the weights, unless they were set after this block.
    SetWeights {
        /// The block.
        after: u64,
    },
    /// Commit the digest of the sealed day beside the weights.
    CommitSeal {
        /// The manifest's digest.
        manifest: Digest,
    },
    /// Set the weights again if they have become old.
    Refresh,
    /// Nothing can be done any more: go on as if this had happened.
    GiveUp(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The day's noon came.
    Noon,
    /// The chain was read, or could not be.
    Collected(DayRecord),
    /// Every one of several contests has decided.
    Joined,
    /// What became of submissions that repeat others.
    Deduplicated(Vec<(String, Fate)>),
    /// What became of a submission.
    Prepared(String, Fate),
    /// A submission is out of reach; it is tried again.
    Unreachable(String, Unreachable),
    /// What became of near copies; the rest are candidates.
    Compared(Vec<(String, Fate)>),
    /// The contest ran to its end.
    Measured,
    /// It never will.
    NotMeasured(String),
    /// Its result was read.
    Analysed,
    /// It was decided and published.
    Published(Box<Weights>, Digest),
    /// It was decided and published; the weights are a part of what several contests decide together.
    HandedOn(Box<Weights>, Digest),
    /// The chain ends here, and the weights were not yet tried to be set.
    SettingAfter(u64),
    /// The weights stand on chain.
    WeightsSet(u64),
    /// They do not, and today they will not.
    WeightsNotSet(String),
    /// The sealed day's digest stands on chain.
    SealCommitted(u64),
    /// It does not, and need not.
    SealNotCommitted(String),
    /// Something did not work; it is tried again.
    Trouble(String),
}

/// Something happened that cannot happen in this phase: a defect of this program.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{event} cannot happen while {phase}: a defect of this program")]
pub struct Impossible {
    event: String,
    phase: &'static str,
}

/// What is to be done now.
///
/// # Errors
/// [`CalendarError`] at the end of the calendar.
pub fn decide(state: &State, now: i64, policy: &Policy) -> Result<Step, CalendarError> {
    let noon_today = state.start;
    let noon_next = noon(&next(&state.day)?)?;
    if let Some(gone) = too_late(state, now, policy, noon_today, noon_next) {
        return Ok(Step::GiveUp(gone));
    }
    if let Some(trouble) = &state.trouble
        && now < trouble.retry_at
        // A clock that was set back does not make anybody wait for longer than the pause itself.
        && now >= trouble.since
    {
        return Ok(Step::Wait { until: trouble.retry_at });
    }
    Ok(match state.phase {
        Phase::Waiting if now < noon_today => Step::Wait { until: noon_today },
        Phase::Waiting => Step::GiveUp(Event::Noon),
        Phase::Collecting => Step::Collect,
        Phase::Deduplicating => Step::Deduplicate,
        Phase::Preparing => match pending(state) {
            pending if pending.is_empty() => Step::Compare,
            pending => Step::Prepare { pending },
        },
        Phase::Measuring => Step::Measure,
        Phase::Analysing => Step::Analyse,
        Phase::Publishing => Step::Publish,
        Phase::SettingWeights => {
            state.set_after.map_or(Step::LookBeforeSetting, |after| Step::SetWeights { after })
        }
        Phase::Holding if now < noon_next => match (state.manifest, &state.seal_on_chain) {
            (Some(manifest), None) => Step::CommitSeal { manifest },
            _ => Step::Refresh,
        },
        Phase::Holding => Step::Wait { until: now },
    })
}

/// The moment after which a day begins no session, seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`CalendarError`] at the end of the calendar.
pub fn deadline(day: &Day, policy: &Policy) -> Result<i64, CalendarError> {
    Ok(noon(&next(day)?)? - policy.reserve_s)
}

/// Where a phase has used up its time.
fn too_late(state: &State, now: i64, policy: &Policy, today: i64, next: i64) -> Option<Event> {
    let why = |state: &State| state.trouble.as_ref().map(|trouble| trouble.what.clone());
    match state.phase {
        Phase::Preparing => {
            let pending = pending(state);
            if pending.is_empty() {
                // Nobody is a copy who cannot be shown to be one.
                let late = state.trouble.is_some() && now >= today + policy.prepare_for_s;
                return late.then(|| Event::Compared(Vec::new()));
            }
            pending.into_iter().find_map(|(hotkey, _)| {
                let reason = out_of_time(state, &hotkey, now, policy, today)?;
                Some(Event::Prepared(hotkey, Fate::Invalid { reason }))
            })
        }
        Phase::Measuring if now >= next + policy.overrun_s => {
            Some(Event::NotMeasured("the contest did not end in time".to_owned()))
        }
        Phase::Measuring if now >= next && state.trouble.is_some() => Some(Event::NotMeasured(why(state)?)),
        // A day that comes this far only after its end still has one try.
        Phase::SettingWeights if now >= next => Some(Event::WeightsNotSet(why(state)?)),
        _ => None,
    }
}

/// Why a pending submission is waited for no longer, if so: each for itself, and nobody holds up the others for long.
fn out_of_time(state: &State, hotkey: &str, now: i64, policy: &Policy, today: i64) -> Option<String> {
    // A validator that was away has tried nothing meanwhile.
    let waited = now - state.since.max(today);
    let somebody = candidates(state) > 0;
    let limit = if somebody { policy.wait_for_s } else { policy.prepare_for_s };
    match state.unreachable.get(hotkey) {
        Some(Unreachable { why, gone: true }) if waited >= policy.gone_for_s => {
            Some(format!("{NOT_THERE}, for {} min: {why}", policy.gone_for_s / 60))
        }
        Some(Unreachable { why, .. }) if waited >= limit => Some(format!("{OUT_OF_REACH}: {why}")),
        None if waited >= 2 * limit => Some(format!("{OUT_OF_REACH}: it could not be fetched in time")),
        _ => None,
    }
}

/// Submissions that nothing is known about, the earliest first: hotkey and source.
fn pending(state: &State) -> Vec<(String, String)> {
    let submissions = state.record.iter().flat_map(|record| &record.submissions);
    let pending = submissions.filter(|submission| submission.fate == Fate::Pending);
    pending.map(|submission| (submission.hotkey.clone(), submission.source.clone())).collect()
}

/// What follows from what happened.
///
/// # Errors
/// [`Impossible`]: the event does not belong to the phase.
pub fn apply(state: &State, event: Event, now: i64, policy: &Policy) -> Result<State, Impossible> {
    let mut after = state.clone();
    let phase = match (state.phase, event) {
        (_, Event::Trouble(what)) => {
            let earlier = state.trouble.as_ref();
            let attempts = earlier.map_or(0, |trouble| trouble.attempts) + 1;
            let since = earlier.map_or(now, |trouble| trouble.since.min(now));
            after.trouble = Some(Trouble { what, since, retry_at: now + policy.pause(attempts), attempts });
            return Ok(after);
        }
        (Phase::Waiting, Event::Noon) => Phase::Collecting,
        (Phase::Collecting, Event::Collected(record)) => {
            let somebody = record.submissions.iter().any(|submission| submission.fate == Fate::Pending);
            after.record = Some(record);
            if somebody { Phase::Deduplicating } else { Phase::Publishing }
        }
        (Phase::Collecting, Event::Joined) => Phase::Publishing,
        (Phase::Deduplicating, Event::Deduplicated(fates)) => {
            settle(&mut after, fates);
            Phase::Preparing
        }
        (Phase::Preparing, Event::Unreachable(hotkey, why)) => {
            after.unreachable.insert(hotkey, why);
            Phase::Preparing
        }
        (Phase::Preparing, Event::Prepared(hotkey, fate)) => {
            after.unreachable.remove(&hotkey);
            let fate = borne_out(state, &hotkey, fate);
            settle(&mut after, vec![(hotkey, fate)]);
            Phase::Preparing
        }
        (Phase::Preparing, Event::Compared(fates)) => {
            settle(&mut after, fates);
            if candidates(&after) == 0 { Phase::Publishing } else { Phase::Measuring }
        }
        (Phase::Measuring, Event::Measured) => Phase::Analysing,
        (Phase::Measuring | Phase::Analysing, Event::NotMeasured(why)) => {
            if let Some(record) = &mut after.record {
                record.not_measured = Some(why);
            }
            Phase::Publishing
        }
        (Phase::Analysing, Event::Analysed) => Phase::Publishing,
        (Phase::Publishing, Event::Published(weights, manifest)) => {
            let nothing = weights.origin == Origin::None;
            if nothing {
                after.on_chain = Some(OnChain::NotSet { why: weights.reason.clone() });
            }
            after.weights = Some(*weights);
            after.manifest = Some(manifest);
            if nothing { Phase::Holding } else { Phase::SettingWeights }
        }
        (Phase::Publishing, Event::HandedOn(weights, manifest)) => {
            after.weights = Some(*weights);
            after.manifest = Some(manifest);
            (after.on_chain, after.seal_on_chain) = (Some(OnChain::Joint), Some(OnChain::Joint));
            Phase::Holding
        }
        (Phase::SettingWeights, Event::SettingAfter(block)) => {
            after.set_after = Some(block);
            Phase::SettingWeights
        }
        (Phase::SettingWeights | Phase::Holding, Event::WeightsSet(block)) => {
            after.on_chain = Some(OnChain::Set { block });
            Phase::Holding
        }
        (Phase::SettingWeights, Event::WeightsNotSet(why)) => {
            after.on_chain = Some(OnChain::NotSet { why });
            Phase::Holding
        }
        (Phase::Holding, Event::SealCommitted(block)) => {
            after.seal_on_chain = Some(OnChain::Set { block });
            Phase::Holding
        }
        (Phase::Holding, Event::SealNotCommitted(why)) => {
            after.seal_on_chain = Some(OnChain::NotSet { why });
            Phase::Holding
        }
        (phase, event) => {
            let event = format!("{event:?}");
            let event = event.split(['(', ' ']).next().unwrap_or_default().to_owned();
            return Err(Impossible { event, phase: phase.name() });
        }
    };
    if phase != after.phase {
        after.since = now;
    }
    after.phase = phase;
    after.trouble = None;
    Ok(after)
}

/// What becomes of a submission that goes by a seal: its files must be those that were sealed.
fn borne_out(state: &State, hotkey: &str, fate: Fate) -> Fate {
    let submissions = state.record.iter().flat_map(|record| &record.submissions);
    let claim = submissions.filter(|s| s.hotkey == hotkey).find_map(|submission| submission.claim.as_ref());
    match (&fate, claim) {
        (Fate::Candidate { digest, .. }, Some(claim)) if !claim.is_of(hotkey, digest) => {
            let reason = format!("its files are not those that were sealed in block {}", claim.block);
            Fate::Invalid { reason }
        }
        _ => fate,
    }
}

fn settle(state: &mut State, fates: Vec<(String, Fate)>) {
    let Some(record) = &mut state.record else { return };
    for (hotkey, fate) in fates {
        for submission in record.submissions.iter_mut().filter(|submission| submission.hotkey == hotkey) {
            submission.fate = fate.clone();
        }
    }
}

/// Submissions that are measured.
pub fn candidates(state: &State) -> usize {
    let of = |record: &DayRecord| {
        record.submissions.iter().filter(|s| matches!(s.fate, Fate::Candidate { .. })).count()
    };
    state.record.as_ref().map_or(0, of)
}

/// The day to begin with when `state` is over at `now`: the one whose noon was the last, never the
/// same or an earlier one. Days in between are skipped. `None`: the next noon has not come.
///
/// # Errors
/// [`CalendarError`] at the end of the calendar.
pub fn following(state: &State, now: i64) -> Result<Option<Day>, CalendarError> {
    let current = crate::calendar::day_at(now)?;
    Ok((state.phase == Phase::Holding && current > state.day).then_some(current))
}
