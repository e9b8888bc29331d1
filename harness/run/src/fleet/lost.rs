//! When a worker has lost its lane, and when so many losses at the same place end the run.

use std::collections::BTreeSet;

use super::coordinator::Coordinator;
use crate::error::{Class, Result, RunError};

/// So many workers lost, one after the other, at the same place of a lane are not what is wrong.
const MOST_LOST: usize = 3;

/// Nor are so many losses there of fewer workers, whose network may come and go.
const MOST_LOSSES: usize = 6;

/// Why a worker has lost its lane.
pub(super) struct Lost {
    pub(super) why: String,
    /// What it measured is gone from its disk: it may begin anew itself.
    pub(super) spool: bool,
}

impl Coordinator<'_> {
    /// Whether, and why, a worker has lost its lane.
    pub(super) fn lost(&self, worker: &str, number: u32) -> Option<Lost> {
        if let Some(why) = self.lost_by_itself(worker) {
            return Some(Lost { why, spool: false });
        }
        if let Some(why) = self.hopeless.of(worker, number) {
            let why =
                format!("its worker says that none can measure it, which another is to find, too: {why}");
            return Some(Lost { why, spool: false });
        }
        let doing = self.roster.of(worker)?.doing.as_ref();
        let doing = doing.filter(|doing| doing.lane == number && self.is_own(worker, doing))?;
        let failed = doing.failure.as_ref().filter(|failed| failed.here_only)?;
        Some(Lost { why: format!("its worker cannot go on: {}", failed.why), spool: failed.lost })
    }

    /// Why a worker can hold no lane, whatever it does.
    pub(super) fn lost_by_itself(&self, worker: &str) -> Option<String> {
        if self.is_barred(worker) {
            return Some("what its worker said is not so".to_owned());
        }
        let silent =
            self.roster.seems_silent(worker, self.begun, self.terms.lease) && self.roster.is_silent(worker);
        silent.then(|| format!("its worker was not heard of for {} s", self.terms.lease.as_secs()))
    }

    /// Ends a run that costs one worker after the other at the same place.
    pub(super) fn mark_lost(&mut self, number: u32, spool: bool) -> Result<()> {
        let worker = self.state.lanes[number as usize].worker.clone().unwrap_or_default();
        if self.is_barred(&worker) {
            return Ok(());
        }
        let doing = self.roster.of(&worker).and_then(|host| host.doing.as_ref());
        let sessions = doing.filter(|doing| doing.lane == number).map_or(0, |doing| doing.sessions);
        let lost = self.lost.entry(number).or_default();
        if !is_too_much(lost, worker, sessions, spool) {
            return Ok(());
        }
        let times = lost.len();
        let planned = self.lanes[number as usize].plan.sessions.get(sessions as usize);
        Err(RunError::of(
            Class::Environment,
            format!(
                "lane {number}: its worker was lost {times} times after session {sessions} of it; what is measured next, candidate {:?} before all, may end the machines that it is measured on",
                planned.map_or("none", |planned| planned.candidate.as_str())
            ),
        ))
    }
}

/// Notes a loss, and whether those in a row at the same number of sessions are too many.
fn is_too_much(lost: &mut Vec<(String, u32)>, worker: String, sessions: u32, spool: bool) -> bool {
    if lost.first().is_some_and(|(_, place)| *place != sessions) {
        lost.clear();
    }
    // One that begins anew after its disk was lost is counted once; two that both fail, each time.
    if !spool || !lost.iter().any(|(other, _)| *other == worker) {
        lost.push((worker, sessions));
    }
    let workers: BTreeSet<&str> = lost.iter().map(|(worker, _)| worker.as_str()).collect();
    workers.len() >= MOST_LOST || lost.len() >= MOST_LOSSES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_that_both_fail_pass_no_lane_between_them_without_end() {
        let mut lost = Vec::new();
        let mut ends =
            |worker: &str, sessions, spool| is_too_much(&mut lost, worker.to_owned(), sessions, spool);
        let in_turns = ["a", "b"].into_iter().cycle().take(MOST_LOSSES).map(|worker| ends(worker, 4, false));
        let in_turns: Vec<bool> = in_turns.collect();
        assert_eq!(in_turns.iter().position(|ends| *ends), Some(MOST_LOSSES - 1));
        // Elsewhere it is another loss; and three workers are enough.
        assert_eq!(["b", "c", "a"].map(|worker| ends(worker, 5, false)), [false, false, true]);
        // A disk that is lost again and again is that of one worker.
        assert!(!(0..2 * MOST_LOSSES).any(|_| ends("a", 0, true)));
    }
}
