//! [`execute`]: a plan from its first session, or from where its log ends.

use std::sync::atomic::{AtomicBool, Ordering};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Chain, Header, Log, Outcome, Record, SessionStatus};
use edgemaxx_engine::{Clock, Launcher};

use crate::error::MeasureError;
use crate::image_store::{file_name, png_bytes};
use crate::log_file::Disk;
use crate::observe::{Event, Observer, Progress, StopRule};
use crate::patience::Patience;
use crate::progress;
use crate::session::{self, Ended};
use crate::tally::Tally;
use crate::telemetry::Telemetry;

/// The world outside.
pub struct Io<'a> {
    /// Where records and pictures go.
    pub disk: &'a mut dyn Disk,
    /// Gives [`edgemaxx_contract::sample::Attempt::started_ns`] and the time spent.
    pub clock: &'a dyn Clock,
    /// Who watches the machine meanwhile.
    pub telemetry: &'a mut dyn Telemetry,
    /// Wall clock at the start, milliseconds since 1970-01-01 UTC, for the header.
    pub unix_ms: u64,
}

/// What a finished measurement holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sessions all of whose pairs were attempted.
    pub complete: u32,
    /// Sessions ended by a failing candidate.
    pub aborted: u32,
    /// Requests made, warm-up included.
    pub attempts: u64,
    /// Requests without a picture.
    pub failures: u64,
    /// Candidates stopped before their last session, in order, with the reason.
    pub stopped: Vec<(String, String)>,
    /// Digest of the log's last line.
    pub head: Option<Digest>,
}

impl Summary {
    fn of(log: &Log) -> Self {
        let mut summary = Self { head: Some(log.chain.head()), ..Self::default() };
        for record in &log.records {
            match record {
                Record::Attempt(attempt) => {
                    summary.attempts += 1;
                    summary.failures += u64::from(matches!(attempt.outcome, Outcome::Failed(_)));
                }
                Record::Session(end) if end.status == SessionStatus::Complete => summary.complete += 1,
                Record::Session(_) => summary.aborted += 1,
                Record::Stop(stop) => summary.stopped.push((stop.candidate.clone(), stop.reason.clone())),
                Record::Header(_) | Record::Idle(_) | Record::Launch(_) => {}
            }
        }
        summary
    }
}

/// What a log holds that leaves nothing to be measured; `None`: something is left.
pub fn finished(plan: &Plan, log: &Log) -> Option<Summary> {
    let over = progress::due(plan, log).is_none() && progress::next(plan, log).is_none();
    over.then(|| Summary::of(log))
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
    earlier_ns: u64,
    start_ns: u64,
}

/// Executes a plan, or goes on with it where the log ends: no request that is recorded is made
/// again, a session that was begun is launched anew for its remaining pairs.
///
/// A candidate's failing process ends its session; after two such sessions the candidate is
/// stopped. A failing baseline is launched anew once per session.
///
/// # Errors
/// [`MeasureError`]; what was recorded is kept.
pub fn execute(
    plan: &Plan,
    io: &mut Io<'_>,
    launcher: &mut dyn Launcher,
    rule: &mut dyn StopRule,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Summary, MeasureError> {
    plan.check().map_err(MeasureError::Plan)?;
    let (log, resumed) = open_log(plan, io)?;
    let tally = Tally::of(plan, &log);
    let patience = Patience::of(plan.measurement.timeouts, &log);
    let (earlier_ns, start_ns) = (progress::spent_ns(&log), io.clock.now_ns());
    // The header is a line too.
    io.telemetry.begin(log.records.len() as u64 + 1, start_ns)?;
    let mut run = Run { plan, io, launcher, observer, interrupt, log, tally, patience, earlier_ns, start_ns };
    run.tell(&Event::Started { resumed });
    loop {
        while let Some(record) = progress::due(plan, &run.log) {
            run.append(record)?;
        }
        for wanted in rule.after_session(plan, &run.log) {
            if let Some(stop) = progress::stop(plan, &run.log, &wanted.candidate, wanted.reason) {
                run.append(Record::Stop(stop))?;
            }
        }
        run.check_interrupt()?;
        run.stop_beyond_budget()?;
        let Some(todo) = progress::next(plan, &run.log) else { break };
        run.session(todo)?;
    }
    Ok(Summary::of(&run.log))
}

/// The log as far as it is whole; begun if there is none.
fn open_log(plan: &Plan, io: &mut Io<'_>) -> Result<(Log, bool), MeasureError> {
    let text = io.disk.read_log()?;
    let complete = text.rfind('\n').map_or(0, |at| at + 1);
    if complete < text.len() || (complete == 0 && !text.is_empty()) {
        io.disk.cut_log(complete)?;
    }
    if complete > 0 {
        let path = io.disk.log_path().to_owned();
        let log =
            Log::parse_for(&text[..complete], plan).map_err(|source| MeasureError::Log { path, source })?;
        return Ok((log, true));
    }
    let header = Header { format: Log::format(), plan: plan.digest()?, started_unix_ms: io.unix_ms };
    let mut chain = Chain::default();
    let line = chain.append(Record::Header(header.clone()))?;
    io.disk.append(&line)?;
    let complete_bytes = line.len();
    Ok((Log { header, records: Vec::new(), chain, complete_bytes }, false))
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
        let line = chain.append(record.clone())?;
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
            Record::Header(_) | Record::Idle(_) => {}
        }
        Ok(())
    }

    /// Stores a picture, unless it is stored: its digest.
    pub(crate) fn store(&mut self, rgb: &[u8]) -> Result<Digest, MeasureError> {
        let image = Digest::of(rgb);
        let name = file_name(&image);
        if !self.io.disk.has(&name) {
            let request = &self.plan.request;
            // The driver checked the size; an encoder that fails on it would be out of memory.
            let png = png_bytes(rgb, request.width, request.height).map_err(|error| MeasureError::Io {
                path: name.clone().into(),
                action: "encode the picture",
                source: std::io::Error::other(error),
            })?;
            self.io.disk.put(&name, &png)?;
        }
        Ok(image)
    }

    pub(crate) fn check_interrupt(&self) -> Result<(), MeasureError> {
        if self.interrupt.load(Ordering::Relaxed) { Err(MeasureError::Interrupted) } else { Ok(()) }
    }

    fn stop_beyond_budget(&mut self) -> Result<(), MeasureError> {
        let Some(budget) = self.plan.measurement.stopping.budget_s else { return Ok(()) };
        if (self.earlier_ns.saturating_add(self.now_ns())) as f64 / 1e9 < budget {
            return Ok(());
        }
        let plan = self.plan;
        for candidate in plan.candidates() {
            let reason = format!("the budget of {budget} s was spent");
            if let Some(stop) = progress::stop(plan, &self.log, &candidate.name, reason) {
                self.append(Record::Stop(stop))?;
            }
        }
        Ok(())
    }

    /// Runs a session to its end; the baseline may fail once.
    fn session(&mut self, mut todo: progress::Todo) -> Result<(), MeasureError> {
        for attempt in 0.. {
            let session = todo.session;
            match session::run(self, &todo)? {
                Ended::Recorded => return Ok(()),
                Ended::Baseline(failure) if attempt > 0 => {
                    return Err(MeasureError::Baseline { session, failure });
                }
                Ended::Baseline(failure) => {
                    self.tell(&Event::BaselineRetry { session, failure: &failure });
                    match progress::next(self.plan, &self.log) {
                        Some(again) if again.session == session && !again.missing.is_empty() => todo = again,
                        _ => return Ok(()),
                    }
                }
            }
        }
        Ok(())
    }
}
