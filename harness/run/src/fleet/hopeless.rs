//! Workers that say of a lane that none can measure it: one worker's word alone ends no run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a worker said.
#[derive(Debug)]
struct Word {
    lane: u32,
    why: String,
    at: Instant,
}

/// Who said so. They get no lane of this run any more.
#[derive(Debug, Default)]
pub(super) struct Hopeless(BTreeMap<String, Word>);

impl Hopeless {
    /// A worker says so; what it said first stands.
    pub(super) fn say(&mut self, worker: &str, lane: u32, why: &str, at: Instant) {
        self.0.entry(worker.to_owned()).or_insert_with(|| Word { lane, why: why.to_owned(), at });
    }

    /// Whether nobody said so.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a worker said so, of whichever lane.
    pub(super) fn has(&self, worker: &str) -> bool {
        self.0.contains_key(worker)
    }

    /// Why, where it said so of this lane.
    pub(super) fn of(&self, worker: &str, lane: u32) -> Option<&str> {
        self.0.get(worker).filter(|word| word.lane == lane).map(|word| word.why.as_str())
    }

    /// Why the run ends: two say so, each of the lane that it was given; or the only one there is said so, and for so long
    /// no other came.
    pub(super) fn ends(&self, others: bool, alone: Duration) -> Option<String> {
        let mut words: Vec<&Word> = self.0.values().collect();
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
}
