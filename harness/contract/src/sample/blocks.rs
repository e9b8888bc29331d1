//! Which sessions share a baseline, kept up to date record by record.

use std::collections::{BTreeMap, BTreeSet};

use super::record::Record;
use crate::plan::{Plan, next_block};

/// The blocks of a log so far.
#[derive(Debug, Clone)]
pub struct Blocks<'a> {
    plan: &'a Plan,
    /// By session, the one that carries its baseline.
    leads: BTreeMap<u32, u32>,
    stopped: BTreeSet<String>,
}

impl<'a> Blocks<'a> {
    /// Those of a plan of which nothing is recorded.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, leads: BTreeMap::new(), stopped: BTreeSet::new() }
    }

    /// One more record of the log.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Block(block) => {
                let lead = block.sessions.first().copied().unwrap_or_default();
                self.leads.extend(block.sessions.iter().map(|&session| (session, lead)));
            }
            Record::Stop(stop) => {
                self.stopped.insert(stop.candidate.clone());
            }
            _ => {}
        }
    }

    /// The sessions of the next block; `None`: no candidate is left, or each has its own baseline.
    pub fn next(&self) -> Option<Vec<u32>> {
        let taken = |session: &crate::plan::PlannedSession| self.leads.contains_key(&session.index);
        let next = || next_block(self.plan, taken, |candidate| self.stopped.contains(candidate));
        self.plan.is_shared().then(next).flatten()
    }

    /// Whether a record may follow: blocks are those that the plan and what was stopped make, and what is
    /// recorded of a shared plan belongs to one.
    ///
    /// # Errors
    /// Says what is foreign.
    pub fn check(&self, record: &Record) -> Result<(), String> {
        if let Record::Block(block) = record {
            let expected = self.next();
            let found = &block.sessions;
            return match expected.as_ref() == Some(found) {
                true => Ok(()),
                false => Err(format!("block {found:?}, where {expected:?} is due,")),
            };
        }
        let Some(session) = record.session().filter(|_| self.plan.is_shared()) else { return Ok(()) };
        match self.leads.get(&session) {
            None => Err(format!("session {session} outside of a block")),
            Some(lead) if *lead != session && record.is_of_baseline() => {
                Err(format!("a baseline of session {session}, which shares that of session {lead},"))
            }
            _ => Ok(()),
        }
    }
}
