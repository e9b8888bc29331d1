//! The workers of a fleet, as a validator shows them.

use serde::{Deserialize, Serialize};

/// A worker: one card of one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// What its operator calls it.
    pub name: String,
    /// Its public key.
    pub key: String,
    /// Its card; its processor, where it has none.
    pub card: String,
    /// Digest of the plan whose lane it measures; `None`: nothing.
    pub plan: Option<String>,
    /// The lane.
    pub lane: Option<u32>,
    /// Which attempt at it.
    pub attempt: Option<u32>,
    /// Sessions of it that ended.
    pub sessions: u32,
    /// Pairs in a minute.
    pub pairs_per_minute: f64,
    /// Bytes that it has measured and not handed over.
    pub spool_bytes: u64,
    /// Room on its disk, bytes.
    pub free_bytes: u64,
    /// Seconds since it was last heard of.
    pub seen_s: u64,
    /// Why it cannot go on.
    pub failure: Option<String>,
}

/// A worker that measures and says nothing for so long is looked after, seconds.
const SILENT_S: u64 = 300;

impl Worker {
    /// What somebody should look at; `None`: nothing. The same as long as it lasts: alarms are told apart by their words.
    pub fn alarm(&self) -> Option<String> {
        let Self { name, lane, seen_s, failure, .. } = self;
        let lane = lane.map(|lane| format!(" with lane {lane}")).unwrap_or_default();
        match failure {
            Some(why) => Some(format!("worker {name}{lane} cannot go on: {why}")),
            None if *seen_s > SILENT_S && !lane.is_empty() => {
                Some(format!("worker {name}{lane} was not heard of for more than {} min", SILENT_S / 60))
            }
            None => None,
        }
    }

    /// What it does, in a few words.
    pub fn measures(&self) -> String {
        match (&self.failure, self.lane, &self.plan) {
            (Some(why), Some(lane), _) => format!("lane {lane}: {why}"),
            (None, Some(lane), Some(plan)) => {
                format!("lane {lane} of {plan}, attempt {}", self.attempt.unwrap_or_default())
            }
            _ => "nothing".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, lane: Option<u32>, seen_s: u64) -> Worker {
        Worker {
            name: name.to_owned(),
            key: "U1".to_owned(),
            card: "a card".to_owned(),
            plan: lane.map(|_| "0123".to_owned()),
            lane,
            attempt: lane.map(|_| 2),
            sessions: 3,
            pairs_per_minute: 1.5,
            spool_bytes: 7,
            free_bytes: 9,
            seen_s,
            failure: None,
        }
    }

    #[test]
    fn who_measures_and_is_silent_or_stuck_is_looked_after() {
        assert_eq!(worker("box", Some(0), 2).alarm(), None);
        assert_eq!(worker("box", None, 4000).alarm(), None, "it is owed nothing");
        let silent = worker("box", Some(0), 400).alarm().unwrap();
        assert!(silent.ends_with("lane 0 was not heard of for more than 5 min"), "{silent}");
        assert_eq!(worker("box", Some(0), 4000).alarm().unwrap(), silent, "it is one alarm");
        let stuck = Worker { failure: Some("its disk is full".to_owned()), ..worker("box", Some(0), 2) };
        assert!(stuck.alarm().unwrap().contains("lane 0 cannot go on: its disk is full"));
        assert_eq!(worker("box", Some(0), 2).measures(), "lane 0 of 0123, attempt 2");
        assert_eq!(worker("box", None, 2).measures(), "nothing");
    }
}
