//! Workers that say of a lane that none can measure it: one worker's word alone ends no run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a worker said.
#[derive(Debug)]
struct Word {
    lane: u32,
    why: String,
    at: Instant,
}

/// Who said so.
#[derive(Debug, Default)]
pub(super) struct Hopeless {
    /// What stands of it.
    words: BTreeMap<String, Word>,
    /// Everybody who ever did: they get no lane of this run any more.
    speakers: BTreeSet<String>,
}

impl Hopeless {
    /// A worker says so; what it said first stands.
    pub(super) fn say(&mut self, worker: &str, lane: u32, why: &str, at: Instant) {
        self.speakers.insert(worker.to_owned());
        self.words.entry(worker.to_owned()).or_insert_with(|| Word { lane, why: why.to_owned(), at });
    }

    /// Somebody measures this lane: what was said of it is not so.
    pub(super) fn withdraw(&mut self, lane: u32) {
        self.words.retain(|_, word| word.lane != lane);
    }

    /// Whether no word stands.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a worker said so, of whichever lane.
    pub(super) fn has(&self, worker: &str) -> bool {
        self.speakers.contains(worker)
    }

    /// Why, where it said so of this lane.
    pub(super) fn of(&self, worker: &str, lane: u32) -> Option<&str> {
        self.words.get(worker).filter(|word| word.lane == lane).map(|word| word.why.as_str())
    }

    /// Why the run ends: two say so, each of the lane that it was given; or the only one there is said so, and for so long
    /// no other came.
    pub(super) fn ends(&self, others: bool, alone: Duration) -> Option<String> {
        let mut words: Vec<&Word> = self.words.values().collect();
        words.sort_by_key(|word| word.at);
        let ends = match words.as_slice() {
            [] => false,
            [word] => !others && word.at.elapsed() >= alone,
            _ => true,
        };
        let words: Vec<String> =
            words.iter().map(|word| format!("lane {}: {}", word.lane, word.why)).collect();
        ends.then(|| words.join("; and another worker: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workers_word_ends_no_run_that_another_can_measure() {
        let mut hopeless = Hopeless::default();
        let (now, lease) = (Instant::now(), Duration::from_secs(3600));
        assert!(hopeless.is_empty() && hopeless.ends(false, Duration::ZERO).is_none());
        hopeless.say("one", 0, "the model is nowhere to be had", now);
        hopeless.say("one", 1, "said again", now);
        assert_eq!(hopeless.of("one", 0), Some("the model is nowhere to be had"));
        assert!(hopeless.of("one", 1).is_none() && hopeless.has("one") && !hopeless.has("other"));
        // Another may find otherwise: one that is there, or one that comes meanwhile.
        assert_eq!(hopeless.ends(true, Duration::ZERO), None);
        assert_eq!(hopeless.ends(false, lease), None);
        // Where nobody came for so long, there is no other word; and two are enough.
        let alone = hopeless.ends(false, Duration::ZERO).unwrap();
        assert_eq!(alone, "lane 0: the model is nowhere to be had");
        hopeless.say("other", 1, "nor here", Instant::now());
        let both = hopeless.ends(true, lease).unwrap();
        assert_eq!(both, "lane 0: the model is nowhere to be had; and another worker: lane 1: nor here");
    }

    #[test]
    fn what_was_said_of_a_lane_that_is_measured_ends_no_run() {
        let mut hopeless = Hopeless::default();
        let (now, lease) = (Instant::now(), Duration::from_secs(3600));
        hopeless.say("one", 0, "nowhere", now);
        hopeless.say("other", 1, "nor here", now);
        hopeless.withdraw(0);
        assert!(hopeless.of("one", 0).is_none() && hopeless.ends(true, lease).is_none());
        hopeless.withdraw(1);
        // Though nobody else is there for however long; who said so gets no lane all the same.
        assert!(hopeless.is_empty() && hopeless.ends(false, Duration::ZERO).is_none());
        assert!(hopeless.has("one") && hopeless.has("other"));
    }
}
