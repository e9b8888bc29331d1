//! How far a measurement in another process is, read off its log as it grows: cheap enough to be asked meanwhile.

use std::collections::BTreeSet;
use std::path::Path;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{PipelinePlan, Plan, Role};
use edgemaxx_contract::run_files::{PLAN_FILE, SAMPLES_FILE, of_lane};
use edgemaxx_contract::sample::Record;
use edgemaxx_files::read_whole_lines;
use edgemaxx_measure::Tally;
use edgemaxx_validator::world::Measured;

/// Follows one run folder, on all of its lanes.
#[derive(Debug, Default)]
pub struct Follower {
    lanes: Vec<Lane>,
}

impl Follower {
    /// How far the run in `folder` is; nothing of it may be there yet.
    pub fn look(&mut self, folder: &Path) -> Measured {
        if self.lanes.is_empty() {
            let text = std::fs::read_to_string(folder.join(PLAN_FILE)).ok();
            if let Some(plan) = text.and_then(|text| Plan::from_json(&text).ok()) {
                self.lanes = (0..plan.lanes).map(|lane| Lane::of(&plan, lane)).collect();
            }
        }
        if self.lanes.is_empty() {
            return Measured::default();
        }
        self.lanes.iter_mut().for_each(|lane| lane.read(folder));
        let each: Vec<Measured> = self.lanes.iter().map(Lane::measured).collect();
        // Lanes that decide together say each the same of a candidate.
        let stopped: BTreeSet<&String> = self.lanes.iter().flat_map(|lane| &lane.stopped).collect();
        Measured {
            done: each.iter().map(|lane| lane.done).sum(),
            total: each.iter().map(|lane| lane.total).sum(),
            eliminated: stopped.len() as u32,
            // They measure at the same time; of one that has no pace yet nothing is known.
            left_s: each
                .iter()
                .map(|lane| lane.left_s)
                .collect::<Option<Vec<_>>>()
                .and_then(|all| all.into_iter().max()),
        }
    }
}

/// Follows the log of one lane.
#[derive(Debug)]
struct Lane {
    path: String,
    plan: Plan,
    tally: Tally,
    /// Bytes of the log that were read.
    read: u64,
    /// Sessions that were run to their end.
    run: u32,
    /// Candidates that left.
    stopped: BTreeSet<String>,
    /// Measured time of earlier executions, and of this one.
    spent_ns: (u64, u64),
}

impl Lane {
    fn of(run: &Plan, lane: u32) -> Self {
        let path = if run.lanes == 1 { SAMPLES_FILE.to_owned() } else { of_lane(lane, SAMPLES_FILE) };
        Self::unread(path, run.of_lane(lane))
    }

    /// Of whose log nothing was read.
    fn unread(path: String, plan: Plan) -> Self {
        let tally = Tally::new(&plan);
        Self { path, plan, tally, read: 0, run: 0, stopped: BTreeSet::new(), spent_ns: (0, 0) }
    }

    fn read(&mut self, folder: &Path) {
        let path = folder.join(&self.path);
        // One that was lost with its worker is measured anew.
        if std::fs::metadata(&path).map_or(0, |found| found.len()) < self.read {
            *self = Self::unread(std::mem::take(&mut self.path), self.plan.clone());
        }
        for line in self.new_lines(&path).lines() {
            if let Ok(record) = Record::of_line(line) {
                self.take(&record);
            }
        }
    }

    /// Whole lines that were written since the last look.
    fn new_lines(&mut self, path: &Path) -> String {
        // No log yet, or none any more: nothing new.
        let bytes = read_whole_lines(path, self.read).unwrap_or_default();
        self.read += bytes.len() as u64;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn take(&mut self, record: &Record) {
        self.tally.add(&self.plan, record);
        match record {
            Record::Session(_) => self.run += 1,
            Record::Stop(stop) => {
                let is_candidate = |c: &PipelinePlan| c.name == stop.candidate && c.role == Role::Candidate;
                if self.plan.candidates().iter().any(is_candidate) {
                    self.stopped.insert(stop.candidate.clone());
                }
            }
            Record::Attempt(attempt) => {
                // A clock that begins anew belongs to another execution.
                if attempt.started_ns < self.spent_ns.1 {
                    self.spent_ns.0 += self.spent_ns.1;
                }
                self.spent_ns.1 = attempt.started_ns;
            }
            Record::Header(_)
            | Record::Block(_)
            | Record::Launch(_)
            | Record::Idle(_)
            | Record::Scores(_) => {}
        }
    }

    fn measured(&self) -> Measured {
        let (progress, (done, spared)) = (self.tally.progress(), self.tally.pairs());
        let spent_s = (self.spent_ns.0 + self.spent_ns.1) as f64 / 1e9;
        let pace = (self.run > 0).then(|| spent_s / f64::from(self.run));
        let left = progress.sessions_total - progress.sessions_done;
        Measured {
            done: done.into(),
            total: (progress.pairs_total - spared).into(),
            eliminated: self.stopped.len() as u32,
            left_s: pace.map(|pace| (pace * f64::from(left)).ceil() as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::{Chain, Stop};

    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reports/examples/emoji-cpu");

    #[test]
    fn it_follows_a_log_that_grows_tears_and_eliminates() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::default();
        assert_eq!(follower.look(folder.path()), Measured::default());
        let plan = std::fs::read_to_string(format!("{EXAMPLE}/plan.json")).unwrap();
        let log = std::fs::read_to_string(format!("{EXAMPLE}/samples.jsonl")).unwrap();
        std::fs::write(folder.path().join("plan.json"), &plan).unwrap();
        let plan = Plan::from_json(&plan).unwrap();
        let pairs: u64 = plan.sessions.iter().map(|session| session.pairs.len() as u64).sum();
        let none = Measured { total: pairs, ..Measured::default() };
        assert_eq!(follower.look(folder.path()), none);

        // Half of it, the last line torn; then all of it: as if looked at only now.
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, &log[..log.len() / 2]).unwrap();
        let half = follower.look(folder.path());
        assert!(half.done > 0 && half.done < pairs && half.total == pairs, "{half:?}");
        assert!(half.left_s.is_some_and(|left| left > 0), "{half:?}");
        std::fs::write(&path, &log).unwrap();
        let whole = follower.look(folder.path());
        assert_eq!(whole, Measured { done: pairs, total: pairs, eliminated: 0, left_s: Some(0) });
        assert_eq!(Follower::default().look(folder.path()), whole);

        // Who is stopped after the first session is spared the others.
        let name = &plan.candidates().iter().find(|c| c.role == Role::Candidate).unwrap().name;
        let first = log.find("\"record\":\"session\"").unwrap();
        let end = first + log[first..].find('\n').unwrap() + 1;
        let (candidate, reason) = (name.clone(), "slow".to_owned());
        let stop = Stop { candidate, after_sessions: 1, reason, sessions_saved: 3, beaten_by: None };
        let stop = Chain::default().append(Record::Stop(stop));
        std::fs::write(&path, format!("{}{stop}", &log[..end])).unwrap();
        let stopped = Follower::default().look(folder.path());
        assert_eq!(stopped.eliminated, 1);
        assert!(stopped.total < pairs && stopped.total > stopped.done, "{stopped:?}");
    }
}
