//! A validator's contests in one process: one of them, or several, of which one at a time measures, and all of them together,
//! whose weights go on chain.

use edgemaxx_contract::digest::Digest;

use crate::driver::{Driver, DriverError};
use crate::state::Phase;
use crate::status::Status;
use crate::world::{Bench, BenchState, BenchTrouble, CheckpointTrouble, Checkpoints, Compared, Job};

/// Everything that a validator runs.
pub struct Group<'a> {
    /// Whose weights go on chain.
    head: Driver<'a>,
    /// The contests that it is of, in their order; none: it is a contest itself.
    parts: Vec<(String, Driver<'a>)>,
}

impl<'a> Group<'a> {
    /// One contest.
    pub fn alone(contest: Driver<'a>) -> Self {
        Self { head: contest, parts: Vec::new() }
    }

    /// Several contests by name, and all of them together.
    pub fn of(joint: Driver<'a>, parts: Vec<(String, Driver<'a>)>) -> Self {
        Self { head: joint, parts }
    }

    /// Whose weights go on chain.
    pub fn head(&self) -> &Driver<'a> {
        &self.head
    }

    /// As [`Driver::next_now`], of all.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn next_now(&mut self) -> Result<(), DriverError> {
        self.parts.iter_mut().try_for_each(|(_, part)| part.next_now())?;
        self.head.next_now()
    }

    /// Writes a line into the journal.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn note(&mut self, what: &str) -> Result<(), DriverError> {
        self.head.note(what)
    }

    /// The status now, with that of each contest.
    pub fn status(&self) -> Status {
        self.head.status().with(self.parts.iter().map(|(name, part)| (name.clone(), part.status())))
    }

    /// Does the next thing of each; the moment before which there is nothing more to do.
    ///
    /// # Errors
    /// [`DriverError`]; what happened before is recorded.
    pub fn tick(&mut self) -> Result<i64, DriverError> {
        self.give_the_bench();
        let mut wake = i64::MAX;
        for (_, part) in &mut self.parts {
            wake = wake.min(part.tick()?);
        }
        self.head.contests_at =
            self.parts.iter().map(|(name, part)| (name.clone(), part.state().day.clone())).collect();
        Ok(wake.min(self.head.tick()?))
    }

    /// One contest at a time measures, in their order, and none before everything of each has come: nothing is fetched or
    /// digested beside a measurement. Who cannot measure now leaves the bench to others.
    fn give_the_bench(&mut self) {
        for (_, part) in &mut self.parts {
            part.may_measure &= part.state().phase == Phase::Measuring && part.state().trouble.is_none();
        }
        let preparing = |phase| matches!(phase, Phase::Collecting | Phase::Deduplicating | Phase::Preparing);
        let busy = |part: &Driver<'_>| part.may_measure || preparing(part.state().phase);
        if self.parts.iter().any(|(_, part)| busy(part)) {
            return;
        }
        let ready =
            self.parts.iter_mut().map(|(_, part)| part).filter(|p| p.state().phase == Phase::Measuring);
        if let Some(first) = ready.min_by_key(|p| (p.state().trouble.is_some(), p.state().day.clone())) {
            first.may_measure = true;
        }
    }

    /// Ticks until told to stop, or, with `once`, until the day holds. What `seen` has to say of what it did
    /// goes into the journal.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn run(
        &mut self,
        once: bool,
        mut seen: impl FnMut(&Status) -> Vec<String>,
    ) -> Result<(), DriverError> {
        loop {
            let wake = self.tick()?;
            for what in seen(&self.status()) {
                self.note(&what)?;
            }
            if once && self.head.is_over()? {
                return Ok(());
            }
            let seconds = (wake - self.head.world.clock.now()).max(0) as u64;
            if !self.head.world.clock.sleep(seconds) {
                self.parts.iter_mut().for_each(|(_, part)| part.world.bench.stop());
                self.head.world.bench.stop();
                return Ok(());
            }
        }
    }
}

/// The hands of a day of several contests together, which fetches and measures nothing.
pub struct Idle;

const IDLE: &str = "a day of several contests together measures nothing, a defect of this program";

impl Checkpoints for Idle {
    fn prepare(&mut self, _: &str) -> Option<Result<Digest, CheckpointTrouble>> {
        Some(Err(CheckpointTrouble::Invalid(IDLE.to_owned())))
    }

    fn copies(&mut self, _: &[(String, u64, String)], _: &str) -> Result<Compared, String> {
        Err(IDLE.to_owned())
    }
}

impl Bench for Idle {
    fn advance(&mut self, _: &Job) -> Result<BenchState, BenchTrouble> {
        Err(BenchTrouble::Hopeless(IDLE.to_owned()))
    }

    fn stop(&mut self) {}
}
