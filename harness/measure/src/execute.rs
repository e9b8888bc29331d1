//! [`execute`]: a plan from its first session, or from where its log ends.

use std::sync::atomic::AtomicBool;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Chain, Failure, Header, Log, Outcome, Record, SessionEnd, SessionStatus};
use edgemaxx_contract::torn_line::whole_lines;
use edgemaxx_engine::Launcher;

use crate::error::MeasureError;
use crate::observe::{Event, Observer, StopRule};
use crate::patience::Patience;
use crate::remaining;
use crate::run::{Io, Run};
use crate::session::{self, Ended};
use crate::tally::Tally;

/// What a finished measurement holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sessions all of whose pairs were attempted.
    pub complete: u32,
    /// Sessions ended by a failing candidate.
    pub aborted: u32,
    /// Requests made, warm-up included.
    pub attempts: u64,
    /// Requests without an answer.
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
                Record::Header(_)
                | Record::Block(_)
                | Record::Idle(_)
                | Record::Launch(_)
                | Record::Scores(_) => {}
            }
        }
        summary
    }
}

/// What a log holds that leaves nothing to be measured; `None`: something is left.
pub fn finished(plan: &Plan, log: &Log) -> Option<Summary> {
    let over = remaining::due(plan, log).is_none()
        && remaining::block(plan, log).is_none()
        && remaining::next(plan, log).is_none();
    over.then(|| Summary::of(log))
}

/// Executes a plan, or goes on with it where the log ends: no request that is recorded is made
/// again, a session that was begun is launched anew for its remaining pairs.
///
/// A candidate's failing process ends its session; after two such sessions the candidate is
/// stopped. A failing baseline is launched anew once per session, or block of sessions that share it. One that fails
/// twice beside a candidate, and answers beside the next, is that candidate's failure; else the run ends.
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
    let (earlier_ns, start_ns) = (remaining::spent_ns(&log), io.clock.now_ns());
    // The header is a line too.
    io.telemetry.begin(log.records.len() as u64 + 1, start_ns)?;
    let mut run = Run { plan, io, launcher, observer, interrupt, log, tally, patience, earlier_ns, start_ns };
    run.tell(&Event::Started { resumed });
    // A session in which the baseline failed twice, beside one candidate.
    let mut doubt: Option<(u32, Failure)> = None;
    loop {
        while let Some(record) = remaining::due(plan, &run.log) {
            run.append(record)?;
        }
        for wanted in rule.after_session(plan, &run.log) {
            if let Some(mut stop) = remaining::stop(plan, &run.log, &wanted.candidate, wanted.reason) {
                stop.beaten_by = wanted.beaten_by;
                run.append(Record::Stop(stop))?;
            }
        }
        run.check_interrupt()?;
        stop_beyond_budget(&mut run)?;
        if let Some(block) = remaining::block(plan, &run.log) {
            run.append(Record::Block(block))?;
        }
        let name = doubt.as_ref().map(|(session, _)| plan.sessions[*session as usize].candidate.as_str());
        let Some(todo) = remaining::next_without(plan, &run.log, name) else {
            let Some((session, failure)) = doubt.take() else { break };
            let name = &plan.sessions[session as usize].candidate;
            if !remaining::baseline_answers_beside_others(plan, &run.log, name) {
                return Err(MeasureError::Baseline { session, failure });
            }
            blame(&mut run, session)?;
            continue;
        };
        let (session, shared) = (todo.sessions[0], todo.sessions.len() > 1);
        let is_control = plan.control().is_some_and(|c| c.name == plan.sessions[session as usize].candidate);
        match run_session(&mut run, todo)? {
            None => {
                let complete =
                    run.log.session(session).end.is_some_and(|end| end.status == SessionStatus::Complete);
                if let Some((blamed, _)) = doubt.take_if(|_| complete) {
                    blame(&mut run, blamed)?;
                }
            }
            // It may be the candidate's doing: whether the baseline answers beside the next one tells.
            Some(failure) if !shared && !is_control && doubt.is_none() => doubt = Some((session, failure)),
            Some(failure) => return Err(MeasureError::Baseline { session, failure }),
        }
    }
    Ok(Summary::of(&run.log))
}

/// The log as far as it is whole; begun if there is none.
fn open_log(plan: &Plan, io: &mut Io<'_>) -> Result<(Log, bool), MeasureError> {
    let text = io.disk.read_log()?;
    let complete = whole_lines(&text);
    if complete < text.len() || (complete == 0 && !text.is_empty()) {
        io.disk.cut_log(complete)?;
    }
    if complete > 0 {
        let path = io.disk.log_path().to_owned();
        let log =
            Log::parse_for(&text[..complete], plan).map_err(|source| MeasureError::Log { path, source })?;
        return Ok((log, true));
    }
    let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: io.unix_ms };
    let mut chain = Chain::default();
    let line = chain.append(Record::Header(header.clone()));
    io.disk.append(&line)?;
    let complete_bytes = line.len();
    Ok((Log { header, records: Vec::new(), chain, complete_bytes }, false))
}

/// Why everybody leaves once a plan's budget is spent; `None`: it has none.
pub fn budget_spent(plan: &Plan) -> Option<String> {
    plan.measurement.stopping.budget_s.map(|budget| format!("the budget of {budget} s was spent"))
}

fn stop_beyond_budget(run: &mut Run<'_, '_>) -> Result<(), MeasureError> {
    let (Some(budget), Some(reason)) = (run.plan.measurement.stopping.budget_s, budget_spent(run.plan))
    else {
        return Ok(());
    };
    if (run.earlier_ns.saturating_add(run.now_ns())) as f64 / 1e9 < budget {
        return Ok(());
    }
    let plan = run.plan;
    for candidate in plan.candidates() {
        if let Some(stop) = remaining::stop(plan, &run.log, &candidate.name, reason.clone()) {
            run.append(Record::Stop(stop))?;
        }
    }
    Ok(())
}

/// Ends a session in which the baseline failed, as it does beside this candidate alone: that is the candidate's failure.
fn blame(run: &mut Run<'_, '_>, session: u32) -> Result<(), MeasureError> {
    run.append(Record::Session(SessionEnd {
        session,
        status: SessionStatus::Aborted { side: Side::Baseline },
        baseline_peak_rss_bytes: None,
        candidate_peak_rss_bytes: None,
        steady: false,
    }))
}

/// Runs a session to its end; the baseline may fail once. Its second failure, if there is one.
fn run_session(run: &mut Run<'_, '_>, mut todo: remaining::Todo) -> Result<Option<Failure>, MeasureError> {
    for attempt in 0.. {
        let session = todo.sessions[0];
        match session::run(run, &todo)? {
            Ended::Recorded => return Ok(None),
            Ended::Baseline(failure) if attempt > 0 => return Ok(Some(failure)),
            Ended::Baseline(failure) => {
                run.tell(&Event::BaselineRetry { session, failure: &failure });
                // The same session, whichever is put off.
                match remaining::again(run.plan, &run.log, session) {
                    Some(again) if again.sessions[0] == session && !again.missing.is_empty() => todo = again,
                    _ => return Ok(None),
                }
            }
        }
    }
    Ok(None)
}
