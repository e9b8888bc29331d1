//! A measurement under way: its log, its clock, and who watches.

use std::sync::atomic::{AtomicBool, Ordering};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Log, Record};
use edgemaxx_engine::{Artefact, Clock, Codec, Launcher};

use crate::disk::Disk;
use crate::error::MeasureError;
use crate::observe::{Event, Observer, Progress};
use crate::patience::Patience;
use crate::tally::Tally;
use crate::telemetry::Telemetry;

/// The world outside.
pub struct Io<'a> {
    /// How the plan's task is asked, and what is kept of its answers.
    pub codec: &'a dyn Codec,
    /// Where records and artefacts go.
    pub disk: &'a mut dyn Disk,
    /// Gives [`edgemaxx_contract::sample::Attempt::started_ns`] and the time spent.
    pub clock: &'a dyn Clock,
    /// Who watches the machine meanwhile.
    pub telemetry: &'a mut dyn Telemetry,
    /// Wall clock at the start, milliseconds since 1970-01-01 UTC, for the header.
    pub unix_ms: u64,
}

/// A measurement under way.
pub(crate) struct Run<'a, 'io> {
    pub(crate) plan: &'a Plan,
    pub(crate) io: &'a mut Io<'io>,
    pub(crate) launcher: &'a mut dyn Launcher,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupt: &'a AtomicBool,
    pub(crate) log: Log,
    pub(crate) tally: Tally,
    pub(crate) patience: Patience,
    /// Time spent in earlier executions.
    pub(crate) earlier_ns: u64,
    pub(crate) start_ns: u64,
}

impl Run<'_, '_> {
    /// Nanoseconds since this execution began.
    pub(crate) fn now_ns(&self) -> u64 {
        self.io.clock.now_ns().saturating_sub(self.start_ns)
    }

    pub(crate) fn tell(&mut self, event: &Event<'_>) {
        let spent_ns = self.earlier_ns.saturating_add(self.now_ns());
        self.observer.on(event, &Progress { spent_ns, ..self.tally.progress() });
    }

    /// Appends a record and tells the observer.
    pub(crate) fn append(&mut self, record: Record) -> Result<(), MeasureError> {
        let mut chain = self.log.chain.clone();
        let line = chain.append(record.clone());
        self.io.disk.append(&line)?;
        self.log.chain = chain;
        self.log.complete_bytes += line.len();
        self.log.records.push(record.clone());
        self.tally.add(self.plan, &record);
        self.patience.add(&record);
        match &record {
            Record::Launch(launch) => self.tell(&Event::Launch(launch)),
            Record::Attempt(attempt) => self.tell(&Event::Attempt(attempt)),
            Record::Session(end) => self.tell(&Event::Ended(end)),
            Record::Stop(stop) => self.tell(&Event::Stopped(stop)),
            Record::Header(_) | Record::Block(_) | Record::Idle(_) | Record::Scores(_) => {}
        }
        Ok(())
    }

    /// Stores what is kept of an answer, unless it is stored: its digest.
    pub(crate) fn store(&mut self, artefact: &Artefact) -> Result<Digest, MeasureError> {
        let name = self.plan.artefact(&artefact.digest);
        if !self.io.disk.has(&name) {
            self.io.disk.put(&name, &artefact.bytes)?;
        }
        Ok(artefact.digest)
    }

    pub(crate) fn check_interrupt(&self) -> Result<(), MeasureError> {
        if self.interrupt.load(Ordering::Relaxed) { Err(MeasureError::Interrupted) } else { Ok(()) }
    }
}
