//! The driver: asks the machine what is to be done, does it, records what happened.

mod settings;
mod weights;

use std::collections::BTreeMap;
use std::path::PathBuf;

use edgemaxx_contract::day::Fate;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::joint::{Joint, Share};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::weights::Weights;

pub use self::settings::{Role, Settings, World};
use crate::calendar::{CalendarError, day_at, next, noon};
use crate::decided::{self, Decided};
use crate::describe::describe;
use crate::fetching::Fetching;
use crate::joint;
use crate::machine::{Event, Impossible, Step, apply, deadline, decide, following};
use crate::policy::Policy;
use crate::publish::{self, JointDay, PublishError, Published};
use crate::reading::{self, Asked, Read};
use crate::state::{Phase, State};
use crate::status::{Seen, Status};
use crate::store::{Store, StoreError};
use crate::world::{BenchState, BenchTrouble, ChainTrouble, Job};
use crate::{collect, contest_file};

/// Attempts to set weights, after which a single day ends without them.
const ONCE_ATTEMPTS: u32 = 5;

/// Why a validator ends. Everything it knew is recorded.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Its memory fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it decided cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The calendar ends.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// The contest is none any more.
    #[error(transparent)]
    Contest(#[from] contest_file::ContestFileError),
    /// A day under way was begun otherwise.
    #[error(
        "a day is under way that was begun with other contests or shares; run it to its end with those, or name other data \
         with --data"
    )]
    Other,
    /// A defect of this program.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

/// A validator at work.
pub struct Driver<'a> {
    settings: Settings,
    store: Store,
    pub(crate) world: World<'a>,
    state: State,
    seen: Seen,
    fetching: Fetching,
    /// When it was last looked whether weights could be set.
    looked_at: Option<i64>,
    /// Whether nobody else of the same machine measures.
    pub(crate) may_measure: bool,
    /// The days that the contests are at, of which this one's are together.
    pub(crate) contests_at: BTreeMap<String, Day>,
}

impl<'a> Driver<'a> {
    /// In this state, with nothing seen or fetched yet.
    fn at(state: State, settings: Settings, store: Store, world: World<'a>) -> Self {
        let (seen, fetching) = (Seen::default(), Fetching::default());
        let may_measure = settings.role == Role::Alone;
        let contests_at = BTreeMap::new();
        Self { settings, store, world, state, seen, fetching, looked_at: None, may_measure, contests_at }
    }

    /// Goes on where the memory ends; begins with the current day, if it is not too late for it, or
    /// waits for the next noon. An empty memory learns the last sealed day from its folder; where that is the current
    /// day, its weights are set, again perhaps.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn begin(
        settings: Settings,
        mut store: Store,
        world: World<'a>,
        now_please: bool,
    ) -> Result<Self, DriverError> {
        let now = world.clock.now();
        let shares = settings.shares().to_vec();
        let state = match store.latest()? {
            Some(state) if state.phase != Phase::Holding && state.shares != shares => {
                return Err(DriverError::Other);
            }
            Some(state) => state,
            None => {
                let previous = publish::last_sealed(&settings.days)?;
                let current = day_at(now)?;
                if let Some(sealed) = previous.as_ref().filter(|previous| previous.day == current) {
                    let state = publish::sealed_day(&settings.days, sealed, now)?;
                    let event = published(&settings.role, sealed.weights.clone(), sealed.manifest);
                    let state = apply(&state, event, now, &settings.policy)?;
                    store.record(&state, now, "began with a day that was sealed already")?;
                    return Ok(Self::at(state, settings, store, world));
                }
                let late = now - noon(&current)? > settings.policy.late_start_s;
                let done = previous.as_ref().map(|previous| &previous.day).filter(|day| **day >= current);
                // By hand: what is committed now counts, as far as the chain knows it.
                let by_hand = if now_please { world.chain.head().ok().map(|head| head.unix_s) } else { None };
                let passed = match by_hand {
                    // No session of this day may begin any more: the next one, in advance.
                    Some(_) => now >= deadline(&current, &settings.policy)?,
                    None => late,
                };
                let day = match done {
                    Some(done) => next(done)?,
                    None if passed => next(&current)?,
                    None => current,
                };
                let state = match by_hand {
                    Some(start) => State::begun(day, start, now, previous),
                    None => State::waiting(day.clone(), noon(&day)?, now, previous),
                }
                .of(&shares);
                store.record(&state, now, "began")?;
                state
            }
        };
        Ok(Self::at(state, settings, store, world))
    }

    /// Begins the day after this one at once, in advance, if this one is over: for trials.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn next_now(&mut self) -> Result<(), DriverError> {
        if self.state.phase != Phase::Holding {
            return Ok(());
        }
        let now = self.world.clock.now();
        let start = self.world.chain.head().map_or(now, |head| head.unix_s);
        let day = next(&self.state.day)?;
        let after = State::begun(day, start, now, self.state.legacy()).of(self.settings.shares());
        self.store.record(&after, now, "began in advance")?;
        self.state = after;
        Ok(())
    }

    /// The day as it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The choices.
    pub fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    /// The status now.
    pub fn status(&self) -> Status {
        Status::of(&self.state, &self.seen, self.world.clock.now(), &self.settings.policy)
    }

    /// Does the next thing; the moment before which there is nothing more to do.
    ///
    /// # Errors
    /// [`DriverError`]; what happened before is recorded.
    pub fn tick(&mut self) -> Result<i64, DriverError> {
        let now = self.world.clock.now();
        self.look_at_standing(now)?;
        if let Some(day) = following(&self.state, now)? {
            self.turn(day, now)?;
            return Ok(now);
        }
        match decide(&self.state, now, &self.settings.policy)? {
            Step::Wait { until } => {
                self.refresh_previous(now)?;
                Ok(until.min(now + self.settings.policy.look_s))
            }
            Step::GiveUp(event) => {
                if matches!(event, Event::NotMeasured(_)) {
                    self.world.bench.stop();
                }
                self.happened(event)
            }
            Step::Collect if !self.state.shares.is_empty() => {
                if self.contests()?.is_some() {
                    return self.happened(Event::Joined);
                }
                self.refresh_previous(now)?;
                Ok(now + self.settings.policy.look_s)
            }
            Step::Collect => {
                let asked = Asked {
                    day: &self.state.day,
                    start: self.state.start,
                    until: self.state.start + self.settings.policy.collect_for_s,
                    open_for_s: self.settings.policy.open_for_s,
                    netuid: self.settings.netuid,
                    validator: self.world.signer.hotkey(),
                };
                match reading::read(&asked, self.world.chain, &mut self.store, &mut self.seen, now)? {
                    Read::Happened(event) => self.happened(event),
                    Read::TooEarly => Ok(now + self.settings.policy.look_s),
                }
            }
            Step::Deduplicate => {
                let record = self.state.record.as_ref();
                let copies = record.map(|record| collect::same_source(&record.submissions));
                self.happened(Event::Deduplicated(copies.unwrap_or_default()))
            }
            Step::Prepare { pending } => self.prepare(&pending, now),
            Step::Compare => {
                let event = self.compare();
                self.happened(event)
            }
            Step::Measure => self.measure(now),
            Step::Analyse => {
                let event = match publish::ranking(&self.folder()) {
                    Ok(Some(_)) => Event::Analysed,
                    Ok(None) => Event::NotMeasured("the contest left no ranking".to_owned()),
                    Err(error) => Event::NotMeasured(error.to_string()),
                };
                self.happened(event)
            }
            Step::Publish => {
                let event = self.publish()?;
                self.happened(event)
            }
            Step::LookBeforeSetting => {
                let event = match self.world.chain.head() {
                    Ok(head) => Event::SettingAfter(head.number),
                    Err(trouble) => Event::Trouble(trouble.to_string()),
                };
                self.happened(event)
            }
            Step::SetWeights { after } => {
                let event = self.set_weights(after);
                self.happened(event)
            }
            Step::CommitSeal { manifest } => {
                let event = match self.world.chain.commit_seal(&self.state.day, manifest) {
                    Ok(block) => Event::SealCommitted(block),
                    Err(trouble @ ChainTrouble::Away(_)) => Event::Trouble(trouble.to_string()),
                    Err(refused) => Event::SealNotCommitted(refused.to_string()),
                };
                self.happened(event)
            }
            Step::Refresh => self.refresh(now),
        }
    }

    /// Whether a single day ends here.
    pub(crate) fn is_over(&self) -> Result<bool, DriverError> {
        let attempts = self.state.trouble.as_ref().map_or(0, |trouble| trouble.attempts);
        Ok(match self.state.phase {
            Phase::SettingWeights => attempts >= ONCE_ATTEMPTS,
            // The digest beside the weights is worth a try, but no waiting.
            Phase::Holding => {
                let step = decide(&self.state, self.world.clock.now(), &self.settings.policy)?;
                attempts > 0 || !matches!(step, Step::CommitSeal { .. })
            }
            _ => false,
        })
    }

    /// Writes a line into the journal.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn note(&mut self, what: &str) -> Result<(), DriverError> {
        Ok(self.store.record(&self.state, self.world.clock.now(), what)?)
    }

    /// Records what happened and what follows; there is something to do at once.
    fn happened(&mut self, event: Event) -> Result<i64, DriverError> {
        let now = self.world.clock.now();
        let what = describe(&event);
        let after = apply(&self.state, event, now, &self.settings.policy)?;
        self.store.record(&after, now, &what)?;
        self.state = after;
        Ok(self.state.trouble.as_ref().map_or(now, |trouble| trouble.retry_at))
    }

    /// The day is over: the next one, or a later one if noons were missed.
    fn turn(&mut self, day: Day, now: i64) -> Result<(), DriverError> {
        let expected = next(&self.state.day)?;
        let what = if day == expected {
            "the day is over".to_owned()
        } else {
            format!(
                "{expected} to the day before {day} were missed: their weights are those of {}",
                self.state.day
            )
        };
        let start = noon(&day)?;
        let after = State::waiting(day, start, now, self.state.legacy()).of(self.settings.shares());
        self.store.record(&after, now, &what)?;
        self.state = after;
        self.seen.measured = None;
        self.fetching = Fetching::default();
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.settings.days.join(self.state.day.to_string())
    }

    /// Looks after everything that is being fetched; the moment of the next look.
    fn prepare(&mut self, pending: &[(String, String)], now: i64) -> Result<i64, DriverError> {
        let policy = &self.settings.policy;
        let events = self.fetching.look(self.world.checkpoints, pending, now, policy);
        let settled = events.iter().any(|event| matches!(event, Event::Prepared(..)));
        let later = now + policy.fetch_look_s;
        events.into_iter().try_for_each(|event| self.happened(event).map(drop))?;
        Ok(if settled { now } else { later })
    }

    /// Same files and near-equal weights among what was prepared.
    fn compare(&mut self) -> Event {
        let Some(record) = &self.state.record else { return Event::Compared(Vec::new()) };
        let mut fates = collect::same_files(&record.submissions);
        let is_copy = |hotkey: &str| fates.iter().any(|(copy, _)| copy == hotkey);
        let entries: Vec<_> = record
            .submissions
            .iter()
            .filter(|s| matches!(s.fate, Fate::Candidate { .. }) && !is_copy(&s.hotkey))
            .map(|s| (s.hotkey.clone(), s.since, s.source.clone()))
            .collect();
        let entropy = record.entropy().unwrap_or_default();
        match self.world.checkpoints.copies(&entries, entropy) {
            Ok(found) => {
                let most = self.settings.policy.group_most;
                let mut near = collect::repeats(&record.submissions, &found, most);
                near.retain(|(hotkey, _)| !fates.iter().any(|(copy, _)| copy == hotkey));
                fates.extend(near);
                Event::Compared(fates)
            }
            Err(why) => Event::Trouble(format!("checkpoints cannot be compared: {why}")),
        }
    }

    /// When the last session begins.
    fn measured_until(&self) -> Result<i64, DriverError> {
        let policy = &self.settings.policy;
        let end = deadline(&self.state.day, policy)?;
        let Role::Part { until, .. } = self.settings.role else { return Ok(end) };
        // Nobody is measured before everything of every contest has come, or is waited for no longer.
        let from = self.state.start + (2 * policy.wait_for_s).min((end - self.state.start) / 2);
        Ok(from + ((end - from) as f64 * until) as i64)
    }

    fn measure(&mut self, now: i64) -> Result<i64, DriverError> {
        if !self.may_measure {
            self.seen.measured = None;
            return Ok(now + self.settings.policy.look_s);
        }
        let Some(record) = &self.state.record else {
            return self.happened(Event::NotMeasured("nothing was collected".to_owned()));
        };
        let winner = self.state.previous.as_ref().and_then(|previous| previous.weights.winner.as_deref());
        let job = Job {
            folder: self.folder(),
            contest: contest_file::compose(&self.settings.contest, record, winner)?,
            day: self.state.day.clone(),
            entropy: record.entropy().unwrap_or_default().to_owned(),
            deadline: self.measured_until()?,
        };
        match self.world.bench.advance(&job) {
            Ok(BenchState::Finished) => self.happened(Event::Measured),
            Ok(BenchState::Running(measured)) => {
                self.seen.measured = Some(measured);
                // What was trouble is none any more.
                self.state.trouble = None;
                self.refresh_previous(now)?;
                Ok(now + self.settings.policy.look_s)
            }
            Err(BenchTrouble::Unfit(why)) => self.happened(Event::Trouble(why)),
            Err(BenchTrouble::Hopeless(why)) => self.happened(Event::NotMeasured(why)),
        }
    }

    /// What each of the contests has decided; `None`: not every one has.
    fn contests(&self) -> Result<Option<Vec<Decided>>, DriverError> {
        let data = self.settings.days.parent().unwrap_or(&self.settings.days);
        let day = &self.state.day;
        let decided = |share: &Share| {
            let passed = self.contests_at.get(&share.contest).is_none_or(|at| at > day);
            decided::decided(&data.join(&share.contest).join("days"), share, day, passed)
        };
        let found: Vec<Option<Decided>> = self.state.shares.iter().map(decided).collect::<Result<_, _>>()?;
        Ok(found.into_iter().collect())
    }

    fn publish_joint(&mut self) -> Result<Event, DriverError> {
        let Some(contests) = self.contests()? else {
            return Ok(Event::Trouble("a contest's day is not there any more".to_owned()));
        };
        let joint = Joint {
            format: Joint::expected_format(),
            day: self.state.day.clone(),
            netuid: self.settings.netuid,
            validator: self.world.signer.hotkey(),
            since: contests.iter().filter_map(|decided| decided.since).max(),
            contests: contests.iter().map(|decided| decided.part.clone()).collect(),
        };
        let parts: Vec<_> = contests.into_iter().map(|decided| (decided.part, decided.weights)).collect();
        let (weights, folder) = (joint::sum(&joint.day, &parts), self.folder());
        let day =
            JointDay { folder: &folder, joint: &joint, weights, previous: self.state.previous.as_ref() };
        let done = day.publish(self.world.signer, self.world.pages, self.settings.publish.as_deref())?;
        self.published(done)
    }

    /// Notes what went wrong with a page; what follows from what was published.
    fn published(&mut self, done: Published) -> Result<Event, DriverError> {
        let Published { weights, manifest, trouble } = done;
        if let Some(trouble) = trouble {
            self.note(&format!("the day's page could not be written: {trouble}"))?;
        }
        Ok(published(&self.settings.role, weights, manifest))
    }

    fn publish(&mut self) -> Result<Event, DriverError> {
        if !self.state.shares.is_empty() {
            return self.publish_joint();
        }
        let Some(record) = &self.state.record else {
            return Ok(Event::Trouble("nothing was collected".to_owned()));
        };
        let day = publish::Day {
            folder: &self.folder(),
            contest: &self.settings.contest,
            record,
            previous: self.state.previous.as_ref(),
            share: match self.settings.role {
                Role::Part { share, .. } => Some(share),
                _ => None,
            },
        };
        let done = day.publish(self.world.signer, self.world.pages, self.settings.publish.as_deref())?;
        self.published(done)
    }
}

/// What follows from a published day.
fn published(role: &Role, weights: Weights, manifest: Digest) -> Event {
    match role {
        Role::Part { .. } => Event::HandedOn(Box::new(weights), manifest),
        _ => Event::Published(Box::new(weights), manifest),
    }
}
