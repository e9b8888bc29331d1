//! How far a log is, kept up to date record by record.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Attempt, Log, Outcome, Phase, Record};

use crate::observe::Progress;

/// One session.
#[derive(Debug, Clone, Default)]
struct Session {
    pairs: u32,
    /// Pairs both of whose sides were asked, or one of which failed.
    done: u32,
    /// Pairs one of whose sides was answered.
    half: BTreeSet<u32>,
    /// It ended, or will not be run.
    over: bool,
}

/// Counts pairs and sessions.
#[derive(Debug, Clone)]
pub struct Tally {
    sessions: Vec<Session>,
    /// By the session that carries a baseline, all that share it.
    blocks: BTreeMap<u32, Vec<u32>>,
    progress: Progress,
}

impl Tally {
    /// The tally of a log.
    pub fn of(plan: &Plan, log: &Log) -> Self {
        let mut tally = Self::new(plan);
        for record in &log.records {
            tally.add(plan, record);
        }
        tally
    }

    /// The tally of a plan of which nothing is recorded.
    pub fn new(plan: &Plan) -> Self {
        let sessions: Vec<Session> = plan
            .sessions
            .iter()
            .map(|planned| Session { pairs: planned.pairs.len() as u32, ..Session::default() })
            .collect();
        let progress = Progress {
            sessions_total: sessions.len() as u32,
            pairs_total: sessions.iter().map(|session| session.pairs).sum(),
            ..Progress::default()
        };
        Self { sessions, blocks: BTreeMap::new(), progress }
    }

    /// Pairs that are done with nothing left to be asked, and those that nobody will ask for any more: their session
    /// was aborted, or their candidate stopped.
    pub fn pairs(&self) -> (u32, u32) {
        let spared =
            |session: &Session| if session.over { session.pairs.saturating_sub(session.done) } else { 0 };
        let spared = self.sessions.iter().map(spared).sum();
        (self.progress.pairs_done - spared, spared)
    }

    /// How far it is; the time spent is the caller's to know.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// One more record of the log.
    pub fn add(&mut self, plan: &Plan, record: &Record) {
        match record {
            Record::Attempt(attempt) => {
                let sharing = self.blocks.get(&attempt.session).filter(|_| attempt.side == Side::Baseline);
                let sharing = sharing.cloned().unwrap_or_else(|| vec![attempt.session]);
                sharing.into_iter().for_each(|session| self.attempt(session, attempt));
            }
            Record::Block(block) => {
                let lead = block.sessions.first().copied().unwrap_or_default();
                self.blocks.insert(lead, block.sessions.clone());
            }
            Record::Session(end) => self.over(end.session),
            Record::Stop(stop) => {
                let own = plan.sessions.iter().filter(|planned| planned.candidate == stop.candidate);
                own.for_each(|planned| self.over(planned.index));
            }
            Record::Header(_) | Record::Launch(_) | Record::Idle(_) | Record::Scores(_) => {}
        }
    }

    /// A pair is done with its second answer, or with a failure: its other side is not asked then.
    fn attempt(&mut self, session: u32, attempt: &Attempt) {
        let Phase::Measured { pair } = attempt.phase else { return };
        let Some(session) = self.sessions.get_mut(session as usize) else { return };
        let failed = matches!(attempt.outcome, Outcome::Failed(_));
        if session.over || !(failed || session.half.remove(&pair)) {
            session.half.insert(pair);
            return;
        }
        session.done += 1;
        self.progress.pairs_done += 1;
    }

    fn over(&mut self, session: u32) {
        let Some(session) = self.sessions.get_mut(session as usize).filter(|session| !session.over) else {
            return;
        };
        session.over = true;
        self.progress.sessions_done += 1;
        self.progress.pairs_done += session.pairs.saturating_sub(session.done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remaining::recount;
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::plan::Side;
    use edgemaxx_contract::sample::{Chain, Failure, FailureKind, Header, SessionEnd, SessionStatus, Stop};

    const PLAN: &str = include_str!("../../../reports/examples/emoji-cpu/plan.json");
    const LOG: &str = include_str!("../../../reports/examples/emoji-cpu/samples.jsonl");

    /// After every record the tally is what counting anew gives.
    fn follows(plan: &Plan, records: &[Record]) {
        let header = Header { format: Log::format(), plan: Digest::of(""), started_unix_ms: 0 };
        let mut log = Log { header, records: Vec::new(), chain: Chain::default(), complete_bytes: 0 };
        let mut tally = Tally::of(plan, &log);
        for record in records {
            log.records.push(record.clone());
            tally.add(plan, record);
            assert_eq!(tally.progress(), recount::progress(plan, &log), "{record:?}");
        }
    }

    fn example() -> (Plan, Vec<Record>) {
        use edgemaxx_contract::format::Document as _;
        let plan = Plan::from_json(PLAN).expect("a plan");
        let records = Log::parse_for(LOG, &plan).expect("a log").records;
        (plan, records)
    }

    #[test]
    fn it_follows_a_real_log() {
        let (plan, records) = example();
        follows(&plan, &records[..records.len().min(400)]);
    }

    #[test]
    fn it_follows_failures_aborts_and_stops() {
        let (plan, records) = example();
        let failure = Failure { kind: FailureKind::Refused, detail: String::new() };
        let mut changed: Vec<Record> = Vec::new();
        for (index, mut record) in records.into_iter().take(300).enumerate() {
            if let Record::Attempt(attempt) = &mut record
                && index % 7 == 0
            {
                attempt.outcome = Outcome::Failed(failure.clone());
            }
            changed.push(record);
            let session = plan.sessions[index % plan.sessions.len()].index;
            if index % 50 == 49 {
                changed.push(Record::Session(SessionEnd {
                    session,
                    status: SessionStatus::Aborted { side: Side::Candidate },
                    baseline_peak_rss_bytes: None,
                    candidate_peak_rss_bytes: None,
                    steady: true,
                }));
            }
        }
        // A pair whose one side failed is asked no more.
        let mut failed = BTreeSet::new();
        changed.retain(|record| match record {
            Record::Attempt(Attempt { session, phase: Phase::Measured { pair }, outcome, .. }) => {
                let fresh = !failed.contains(&(*session, *pair));
                if matches!(outcome, Outcome::Failed(_)) {
                    failed.insert((*session, *pair));
                }
                fresh
            }
            _ => true,
        });
        let candidate = plan.sessions[0].candidate.clone();
        changed.push(Record::Stop(Stop {
            candidate,
            after_sessions: 1,
            reason: "enough".to_owned(),
            sessions_saved: 1,
            beaten_by: None,
        }));
        follows(&plan, &changed);
    }
}
