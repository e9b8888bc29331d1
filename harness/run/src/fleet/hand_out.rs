//! Who measures which lane: giving lanes out, again where one is lost (`lost.rs`), and telling workers what is wanted of
//! them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::run_files::ENVIRONMENT_FILE;
use edgemaxx_fleet::{Doing, Lease, Seen, Work};

use super::coordinator::Coordinator;
use super::roster::{News, of_kind, unlike};
use crate::error::{Class, Result, RunError};

/// How often a worker is told what it was told before: the server may have lost it.
const AGAIN: Duration = Duration::from_secs(15);

/// How long after the last moment for a session lanes without a worker are waited for, seconds.
const GRACE_S: u64 = 600;

impl Coordinator<'_> {
    /// The machine and the program that all lanes must be measured with: those of a lane that was begun.
    fn like(&self) -> (Option<Environment>, Option<Digest>) {
        let begun = || self.lanes.iter().zip(&self.state.lanes).filter(|(lane, _)| lane.head().is_some());
        let environment = begun().find_map(|(lane, _)| lane.folder.document(ENVIRONMENT_FILE).ok());
        if environment.is_some() {
            return (environment, begun().find_map(|(_, lane)| lane.program));
        }
        // Nobody has sent anything yet: those of a worker that is about to.
        let holders = self.state.lanes.iter().filter_map(|lane| lane.worker.as_deref());
        let mut there = holders.filter(|worker| self.lost_by_itself(worker).is_none());
        let host = there.find_map(|worker| self.roster.of(worker));
        (host.map(|host| of_kind(&host.environment, self.plan.device.kind)), host.map(|host| host.program))
    }

    /// Whether a worker said what is not so, and gets no lane of this run.
    pub(super) fn is_barred(&self, worker: &str) -> bool {
        self.state.barred.contains_key(worker)
    }

    /// Whether a worker measures, or is to measure, a lane that is not done.
    fn holds(&self, worker: &str) -> bool {
        self.state.lanes.iter().any(|lane| !lane.done && lane.worker.as_deref() == Some(worker))
    }

    /// A worker that can take a lane, other than `but`.
    fn free(&mut self, but: Option<&str>) -> Option<String> {
        let (like, program) = self.like();
        let mut refused = Vec::new();
        let mut found = None;
        for (worker, host) in self.roster.all() {
            // A server has one coordinator: a worker that still has a lane of another plan was left by one that ended.
            let idle =
                host.doing.as_ref().is_none_or(|doing| doing.plan != self.digest || doing.failure.is_none());
            if !idle
                || but == Some(worker)
                || self.holds(worker)
                || self.is_barred(worker)
                || self.hopeless.has(worker)
                || self.roster.seems_silent(worker, self.begun, self.terms.lease)
            {
                continue;
            }
            match unlike(host, &self.plan.device, like.as_ref(), program) {
                Some(why) => refused.push((worker.to_owned(), host.name.clone(), why)),
                None => {
                    found = Some(worker.to_owned());
                    break;
                }
            }
        }
        for (worker, name, why) in refused {
            if self.roster.is_news(News::Refused, &worker) {
                self.progress.line(&format!("worker {name} is refused: {why}"));
            }
        }
        found
    }

    /// Gives each lane that has no worker one, where one is there.
    pub(super) fn hand_out(&mut self) -> Result<()> {
        self.hear_hopeless()?;
        for number in 0..self.plan.lanes {
            let lane = &self.state.lanes[number as usize];
            if lane.done {
                continue;
            }
            let holder = lane.worker.clone();
            let why = match holder.as_deref() {
                None => None,
                Some(worker) => match self.lost(worker, number) {
                    Some(why) => Some(why),
                    None => {
                        self.waiting.remove(&number);
                        continue;
                    }
                },
            };
            let lost_all = why.as_ref().is_some_and(|lost| lost.spool);
            let but = holder.as_deref().filter(|_| !lost_all);
            let Some(worker) = self
                .free(but)
                .or_else(|| holder.clone().filter(|holder| lost_all && !self.is_barred(holder)))
            else {
                if self.waiting.insert(number) {
                    let why = why.map_or_else(|| "no worker is free".to_owned(), |lost| lost.why);
                    self.progress.line(&format!("lane {number} waits for a worker: {why}"));
                }
                self.give_up_in_time(number)?;
                continue;
            };
            self.waiting.remove(&number);
            if let Some(lost) = why {
                self.mark_lost(number, lost.spool)?;
                self.put_away(number, &lost.why)?;
            }
            let host = self.roster.of(&worker);
            let lane = &mut self.state.lanes[number as usize];
            lane.attempt += 1;
            lane.name = host.map(|host| host.name.clone());
            lane.program = host.map(|host| host.program);
            lane.worker = Some(worker);
            let (attempt, name) = (lane.attempt, lane.name.clone().unwrap_or_default());
            // Known to everybody who may begin again, before anybody measures by it.
            self.save()?;
            self.progress.line(&format!("lane {number} goes to {name}, attempt {attempt}"));
        }
        Ok(())
    }

    /// Ends a run whose time is over, and whose lane nobody can take.
    fn give_up_in_time(&self, number: u32) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match self.options.deadline {
            Some(deadline) if now > deadline + GRACE_S => Err(RunError::of(
                Class::Environment,
                format!("lane {number} has no worker, and the time for measuring is over"),
            )),
            _ => Ok(()),
        }
    }

    /// What a worker is to do.
    fn work(&self, worker: &str) -> Option<Work> {
        let (number, own) = (0..)
            .zip(&self.state.lanes)
            .find(|(_, lane)| !lane.done && lane.worker.as_deref() == Some(worker))?;
        let together = self.plan.measurement.stopping.is_adaptive();
        let others =
            self.lanes.iter().filter(|lane| together && lane.number != number && lane.head().is_some());
        let seen = others.map(|lane| Seen { lane: lane.number, log: lane.content() });
        Some(Work {
            plan: self.digest,
            lane: number,
            attempt: own.attempt,
            inputs: self.inputs,
            accepted: self.lanes[number as usize].head(),
            seen: seen.collect(),
            deadline: self.options.deadline,
            no_telemetry: self.options.no_telemetry,
            allow_unfit: self.options.allow_unfit,
            lock_clocks: self.options.lock_clocks,
        })
    }

    /// Tells each worker what is wanted of it, where that changed, or was said so long ago.
    pub(super) fn tell(&mut self) -> Result<()> {
        let workers: Vec<(String, bool)> = self
            .roster
            .all()
            .filter_map(|(worker, host)| {
                let busy = host.doing.is_some();
                let ours = self.holds(worker) || busy || self.told.contains_key(worker);
                ours.then(|| (worker.to_owned(), busy))
            })
            .collect();
        for (worker, busy) in workers {
            let work = self.work(&worker);
            let lease = Lease { format: Lease::expected_format(), worker: worker.clone(), work, done: None };
            let told = self.told.get(&worker);
            if lease.work.is_none() && !busy && told.is_some_and(|(told, _)| *told == lease) {
                continue;
            }
            if told.is_some_and(|(told, at)| *told == lease && at.elapsed() < AGAIN) {
                continue;
            }
            self.queue.lease(&worker, &lease)?;
            self.told.insert(worker, (lease, Instant::now()));
        }
        Ok(())
    }

    /// Notes who says that no other worker would do better, and ends the run where that is not one worker's word alone.
    fn hear_hopeless(&mut self) -> Result<()> {
        for own in self.state.lanes.iter().filter(|own| !own.done) {
            let Some(worker) = own.worker.as_deref() else { continue };
            let doing = self.roster.of(worker).and_then(|host| host.doing.as_ref());
            let Some(doing) = doing.filter(|doing| self.is_own(worker, doing)) else { continue };
            if let Some(failed) = doing.failure.as_ref().filter(|failed| !failed.here_only) {
                self.hopeless.say(worker, doing.lane, &failed.why, Instant::now());
            }
        }
        if self.hopeless.is_empty() {
            return Ok(());
        }
        let (like, program) = self.like();
        let others = self.roster.all().any(|(worker, host)| {
            !self.hopeless.has(worker)
                && !self.is_barred(worker)
                && !self.roster.seems_silent(worker, self.begun, self.terms.lease)
                && unlike(host, &self.plan.device, like.as_ref(), program).is_none()
        });
        match self.hopeless.ends(others, self.terms.lease) {
            Some(why) => Err(RunError::of(Class::Engine, why)),
            None => Ok(()),
        }
    }

    /// Whether what a worker does is the lane that it holds, in the attempt that counts.
    pub(super) fn is_own(&self, worker: &str, doing: &Doing) -> bool {
        let own = self.state.lanes.get(doing.lane as usize).filter(|_| doing.plan == self.digest);
        own.is_some_and(|own| own.worker.as_deref() == Some(worker) && own.attempt == doing.attempt)
    }

    /// Tells all who measured for this run that it is done with them.
    pub(super) fn release(&mut self) {
        let holders = self.state.lanes.iter().filter_map(|lane| lane.worker.clone());
        let ours = self
            .roster
            .all()
            .filter(|(_, host)| host.doing.as_ref().is_some_and(|doing| doing.plan == self.digest));
        let workers: BTreeSet<String> = ours.map(|(worker, _)| worker.to_owned()).chain(holders).collect();
        for worker in workers {
            let done = Some(self.digest);
            let lease = Lease { format: Lease::expected_format(), worker: worker.clone(), work: None, done };
            // Who is not told, or not there, puts it away when it has grown old.
            let _ = self.queue.lease(&worker, &lease);
        }
    }
}
