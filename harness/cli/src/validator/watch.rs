//! How far a contest is, read off its log as it grows: cheap enough to be asked while it measures.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, PlannedSession, Role};
use edgemaxx_validator::world::Measured;
use serde::Deserialize;

/// Follows one run folder.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    plan: Option<Plan>,
    /// Bytes of the log that were read.
    read: u64,
    /// Answers to measured requests, two to a pair.
    answers: u64,
    /// Sessions that ended.
    ended: BTreeSet<u32>,
    stopped: BTreeSet<String>,
    /// Measured time of earlier executions, and of this one.
    spent_ns: (u64, u64),
}

/// What of a record is of interest.
#[derive(Deserialize)]
struct Seen {
    record: String,
    session: Option<u32>,
    candidate: Option<String>,
    phase: Option<serde_json::Value>,
    started_ns: Option<u64>,
}

impl Watch {
    /// How far the run in `folder` is; nothing of it may be there yet.
    pub(crate) fn look(&mut self, folder: &Path) -> Measured {
        if self.plan.is_none() {
            let text = std::fs::read_to_string(folder.join("plan.json")).ok();
            self.plan = text.and_then(|text| Plan::from_json(&text).ok());
        }
        for line in self.new_lines(folder).lines() {
            if let Ok(seen) = serde_json::from_str(line) {
                self.take(seen);
            }
        }
        self.plan.as_ref().map_or_else(Measured::default, |plan| self.measured(plan))
    }

    /// Whole lines that were written since the last look.
    fn new_lines(&mut self, folder: &Path) -> String {
        // No log yet, or none any more: nothing new.
        let bytes = read_from(&folder.join("samples.jsonl"), self.read).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        String::from_utf8_lossy(&bytes[..whole]).into_owned()
    }

    fn take(&mut self, seen: Seen) {
        match (seen.record.as_str(), seen.session, seen.candidate) {
            ("session", Some(session), _) => drop(self.ended.insert(session)),
            ("stop", _, Some(candidate)) => drop(self.stopped.insert(candidate)),
            ("attempt", ..) => {
                let started = seen.started_ns.unwrap_or(0);
                // A clock that begins anew belongs to another execution.
                if started < self.spent_ns.1 {
                    self.spent_ns.0 += self.spent_ns.1;
                }
                self.spent_ns.1 = started;
                let measured = seen.phase.is_some_and(|phase| phase.get("measured").is_some());
                self.answers += u64::from(measured);
            }
            _ => {}
        }
    }

    fn measured(&self, plan: &Plan) -> Measured {
        let left = plan.sessions.iter().filter(|session| {
            !self.ended.contains(&session.index) && !self.stopped.contains(&session.candidate)
        });
        let (sessions, pairs) =
            left.fold((0u64, 0u64), |(n, pairs), s| (n + 1, pairs + s.pairs.len() as u64));
        // The session under way is among those left; what of it is done counts once.
        let ended = |s: &&PlannedSession| self.ended.contains(&s.index);
        let closed: u64 = plan.sessions.iter().filter(ended).map(|s| s.pairs.len() as u64).sum();
        let done = self.answers / 2;
        let total = (closed + pairs).max(done);
        let spent_s = (self.spent_ns.0 + self.spent_ns.1) as f64 / 1e9;
        let pace = (!self.ended.is_empty()).then(|| spent_s / self.ended.len() as f64);
        let candidates = plan.candidates().iter().filter(|c| c.role == Role::Candidate);
        Measured {
            done,
            total,
            eliminated: candidates.filter(|c| self.stopped.contains(&c.name)).count() as u32,
            left_s: pace.map(|pace| (pace * sessions as f64).ceil() as i64),
        }
    }
}

fn read_from(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reports/examples/emoji-cpu");

    #[test]
    fn it_follows_a_log_that_grows_tears_and_eliminates() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::default();
        assert_eq!(watch.look(folder.path()), Measured::default());
        let plan = std::fs::read_to_string(format!("{EXAMPLE}/plan.json")).unwrap();
        let log = std::fs::read_to_string(format!("{EXAMPLE}/samples.jsonl")).unwrap();
        std::fs::write(folder.path().join("plan.json"), &plan).unwrap();
        let plan = Plan::from_json(&plan).unwrap();
        let pairs: u64 = plan.sessions.iter().map(|session| session.pairs.len() as u64).sum();
        let none = Measured { total: pairs, ..Measured::default() };
        assert_eq!(watch.look(folder.path()), none);

        // Half of it, the last line torn; then all of it: as if looked at only now.
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, &log[..log.len() / 2]).unwrap();
        let half = watch.look(folder.path());
        assert!(half.done > 0 && half.done < pairs && half.total == pairs, "{half:?}");
        assert!(half.left_s.is_some_and(|left| left > 0), "{half:?}");
        std::fs::write(&path, &log).unwrap();
        let whole = watch.look(folder.path());
        assert_eq!(whole, Measured { done: pairs, total: pairs, eliminated: 0, left_s: Some(0) });
        assert_eq!(Watch::default().look(folder.path()), whole);

        // Who is stopped after the first session is spared the others.
        let name = &plan.candidates().iter().find(|c| c.role == Role::Candidate).unwrap().name;
        let first = log.find("\"record\":\"session\"").unwrap();
        let end = first + log[first..].find('\n').unwrap() + 1;
        let stop = format!("{{\"record\":\"stop\",\"candidate\":{name:?}}}\n");
        std::fs::write(&path, format!("{}{stop}", &log[..end])).unwrap();
        let stopped = Watch::default().look(folder.path());
        assert_eq!(stopped.eliminated, 1);
        assert!(stopped.total < pairs && stopped.total > stopped.done, "{stopped:?}");
    }
}
