//! Reading and extending the hash chain of `samples.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::record::{Attempt, Header, Phase, Record, Scores, Stop};
use super::session::RecordedSession;
use crate::digest::Digest;
use crate::format::{FITS, Format, FormatError};
use crate::plan::{PipelinePlan, Plan, PlannedSession};
use crate::torn_line::whole_lines;

/// A record as it stands in the file.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Sample"))]
pub(crate) struct Line {
    /// Digest of the previous line's bytes without its line feed; of nothing for the first line.
    prev: Digest,
    #[serde(flatten)]
    record: Record,
}

impl Record {
    /// The record of one line, for who watches a log grow; whether its chain holds is not asked.
    ///
    /// # Errors
    /// It is no record.
    pub fn of_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line).map(|line: Line| line.record)
    }
}

/// The end of a hash chain, to which records are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    head: Digest,
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: Digest::of("") }
    }
}

impl Chain {
    /// The next line, with its line feed, to be appended to the file.
    pub fn append(&mut self, record: Record) -> String {
        let mut line = serde_json::to_string(&Line { prev: self.head, record }).expect(FITS);
        self.head = Digest::of(&line);
        line.push('\n');
        line
    }

    /// One whose end has this digest.
    pub(super) fn at(head: Digest) -> Self {
        Self { head }
    }

    /// Digest of the last line: names the whole log.
    pub fn head(&self) -> Digest {
        self.head
    }
}

/// A log that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a record.
    #[error("line {line}: {source}")]
    Record {
        /// Line, from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// The line before was changed, added or removed.
    #[error(
        "line {line}: the hash chain is broken: it names {named}, but the line before is {actual}; the log was altered"
    )]
    Chain {
        /// Line, from 1.
        line: usize,
        /// The digest it names.
        named: Digest,
        /// The digest of the line before.
        actual: Digest,
    },
    /// The first line is no header, or a later one is.
    #[error("line {line}: expected {expected}")]
    Order {
        /// Line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Another kind or version of file.
    #[error("line 1: {0}")]
    Format(#[from] FormatError),
    /// It belongs to another plan.
    #[error("the log belongs to plan {found}, but plan.json is {expected}")]
    Plan {
        /// Digest in the header.
        found: Digest,
        /// Digest of the plan.
        expected: Digest,
    },
    /// A record points at something the plan does not have.
    #[error("line {line}: {what} is not in the plan")]
    Foreign {
        /// Line, from 1.
        line: usize,
        /// E.g. `session 99`.
        what: String,
    },
}

/// A log whose chain holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The first record.
    pub header: Header,
    /// The others, in order.
    pub records: Vec<Record>,
    /// The end of the chain.
    pub chain: Chain,
    /// Length in bytes of the complete lines; what follows is a torn last line.
    pub complete_bytes: usize,
}

impl Log {
    /// The format of `samples.jsonl`.
    pub fn format() -> Format {
        Format::new("edgemaxx-samples", 2)
    }

    /// Reads a log and checks its chain. A torn last line is not part of the log ([`Log::complete_bytes`]).
    ///
    /// # Errors
    /// [`LogError`] names the line.
    pub fn parse(text: &str) -> Result<Self, LogError> {
        let complete_bytes = whole_lines(text);
        let mut chain = Chain::default();
        let mut header = None;
        let mut records = Vec::new();
        for (index, line) in text[..complete_bytes].lines().enumerate() {
            let number = index + 1;
            let parsed: Line =
                serde_json::from_str(line).map_err(|source| LogError::Record { line: number, source })?;
            if parsed.prev != chain.head {
                return Err(LogError::Chain { line: number, named: parsed.prev, actual: chain.head });
            }
            chain.head = Digest::of(line);
            match (parsed.record, index) {
                (Record::Header(found), 0) => {
                    found.format.expect(&Self::format())?;
                    header = Some(found);
                }
                (Record::Header(_), _) => {
                    return Err(LogError::Order { line: number, expected: "a record, not a second header" });
                }
                (_, 0) => return Err(LogError::Order { line: number, expected: "the header" }),
                (record, _) => records.push(record),
            }
        }
        let header = header.ok_or(LogError::Order { line: 1, expected: "the header; the file is empty" })?;
        Ok(Self { header, records, chain, complete_bytes })
    }

    /// Reads a log and checks that it belongs to `plan`.
    ///
    /// # Errors
    /// [`LogError`] names the line.
    pub fn parse_for(text: &str, plan: &Plan) -> Result<Self, LogError> {
        let log = Self::parse(text)?;
        let expected = plan.digest();
        if log.header.plan != expected {
            return Err(LogError::Plan { found: log.header.plan, expected });
        }
        let mut blocks = Blocks::new(plan);
        for (index, record) in log.records.iter().enumerate() {
            let line = index + 2;
            let foreign = |what: String| LogError::Foreign { line, what };
            blocks.check(record).map_err(foreign)?;
            blocks.add(record);
            if let Record::Stop(stop) = record {
                plan.pipeline(&stop.candidate)
                    .ok_or_else(|| foreign(format!("candidate {:?}", stop.candidate)))?;
                let own = plan.sessions.iter().filter(|planned| planned.candidate == stop.candidate);
                if stop.after_sessions.checked_add(stop.sessions_saved) != Some(own.count() as u32) {
                    return Err(foreign(format!(
                        "a stop of {:?} after {} sessions that saves {}",
                        stop.candidate, stop.after_sessions, stop.sessions_saved
                    )));
                }
            }
            let Some(session) = record.session() else { continue };
            let planned =
                plan.sessions.get(session as usize).ok_or_else(|| foreign(format!("session {session}")))?;
            if let Record::Attempt(Attempt {
                phase: Phase::Measured { pair } | Phase::Repeat { pair },
                request,
                ..
            }) = record
                && planned.pairs.get(*pair as usize).is_none_or(|p| p.request != *request)
            {
                return Err(foreign(format!("pair {pair} with request {request} of session {session}")));
            }
            if let Record::Scores(Scores { pair, .. }) = record
                && *pair as usize >= planned.pairs.len()
            {
                return Err(foreign(format!("pair {pair} of session {session}")));
            }
            if let Record::Attempt(Attempt { request, .. }) = record
                && *request as usize >= plan.requests.len()
            {
                return Err(foreign(format!("request {request}")));
            }
        }
        Ok(log)
    }

    /// The sessions that share their baseline with this one, itself among them; the first carries it.
    pub fn block_of(&self, index: u32) -> Vec<u32> {
        let own = self.records.iter().find_map(|record| match record {
            Record::Block(block) if block.sessions.contains(&index) => Some(block.sessions.clone()),
            _ => None,
        });
        own.unwrap_or_else(|| vec![index])
    }

    /// The records of one session, and those of the baseline that it shares.
    pub fn session(&self, index: u32) -> RecordedSession<'_> {
        let lead = self.block_of(index)[0];
        let mut session = RecordedSession { shares: (lead != index).then_some(lead), ..Default::default() };
        for record in &self.records {
            let of = record.session();
            if of == Some(index) || (of == Some(lead) && record.is_of_baseline()) {
                session.take(record);
            }
        }
        session
    }

    /// All sessions of the plan in one pass, index by index.
    pub fn sessions(&self, plan: &Plan) -> Vec<RecordedSession<'_>> {
        let mut sessions = vec![RecordedSession::default(); plan.sessions.len()];
        let mut blocks: BTreeMap<u32, &[u32]> = BTreeMap::new();
        for record in &self.records {
            if let Record::Block(block) = record {
                let Some((&lead, others)) = block.sessions.split_first() else { continue };
                others.iter().for_each(|&other| sessions[other as usize].shares = Some(lead));
                blocks.insert(lead, others);
            }
            let Some(session) = record.session() else { continue };
            sessions[session as usize].take(record);
            // What the baseline does is every sharing session's.
            let others = blocks.get(&session).filter(|_| record.is_of_baseline());
            others.into_iter().copied().flatten().for_each(|of| sessions[*of as usize].take(record));
        }
        sessions
    }

    /// Sessions of the plan of which something was not asked although neither their end nor a stop says why.
    pub fn unfinished(&self, plan: &Plan) -> u32 {
        let recorded = self.sessions(plan);
        let is_open = |planned: &&PlannedSession| {
            let recorded = &recorded[planned.index as usize];
            recorded.end.is_none() && (0..planned.pairs.len() as u32).any(|pair| recorded.is_open(pair))
        };
        let of = |candidate: &PipelinePlan| {
            let own = plan.sessions.iter().filter(|planned| planned.candidate == candidate.name);
            let open = own.filter(is_open).count() as u32;
            let saved = self.stops().filter(|stop| stop.candidate == candidate.name);
            open.saturating_sub(saved.map(|stop| stop.sessions_saved).sum())
        };
        plan.candidates().iter().map(of).sum()
    }

    /// Why candidates were stopped early.
    pub fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.records.iter().filter_map(|record| match record {
            Record::Stop(stop) => Some(stop),
            _ => None,
        })
    }
}
