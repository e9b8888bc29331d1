//! The one shape of measurements that all analysis starts from, whatever file they came from.

use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::digest::Digest;

use crate::elimination::SessionSpeed;
use crate::inference::pairwise::Series;

/// A request answered by both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The baseline's latency, milliseconds; finite and positive.
    pub baseline_ms: f64,
    /// The candidate's latency, milliseconds; finite and positive.
    pub candidate_ms: f64,
    /// Whether either was measured while the device throttled.
    pub throttled: bool,
}

impl Pair {
    /// d = ln(candidate) − ln(baseline): negative is faster.
    pub fn log_ratio(&self) -> f64 {
        self.candidate_ms.ln() - self.baseline_ms.ln()
    }
}

/// The pairs of one session in the order of measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its round: candidates whose sessions share it were asked the same, at about the same time.
    pub key: u32,
    /// Its pairs.
    pub pairs: Vec<Pair>,
}

impl Session {
    /// The mean log ratio.
    pub fn mean(&self) -> f64 {
        self.pairs.iter().map(Pair::log_ratio).sum::<f64>() / self.pairs.len() as f64
    }

    /// The mean logarithms of both sides' latencies.
    pub fn speed(&self) -> SessionSpeed {
        let mean = |side: fn(&Pair) -> f64| {
            self.pairs.iter().map(|pair| side(pair).ln()).sum::<f64>() / self.pairs.len() as f64
        };
        let (candidate, baseline) = (mean(|pair| pair.candidate_ms), mean(|pair| pair.baseline_ms));
        SessionSpeed { round: self.key, candidate, baseline }
    }
}

/// All that was measured of one candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateSamples {
    /// Its name.
    pub name: String,
    /// Sessions with at least one pair, by ascending key.
    pub sessions: Vec<Session>,
    /// How many pairs there should be.
    pub counted: Counted,
    /// How far all its log ratios may lie from the truth for a reason that their spread does not show: a coarse clock, or
    /// without bound, answers that are missing.
    pub blur: f64,
}

impl CandidateSamples {
    /// A candidate of which nothing is missing.
    pub fn whole(name: impl Into<String>, sessions: Vec<Session>) -> Self {
        let mut whole = Self { name: name.into(), sessions, counted: Counted::default(), blur: 0.0 };
        whole.counted = Counted::all(whole.pairs() as u64);
        whole
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.sessions.iter().map(|session| session.pairs.len()).sum()
    }

    /// All pairs in order.
    pub fn all_pairs(&self) -> impl Iterator<Item = &Pair> {
        self.sessions.iter().flat_map(|session| &session.pairs)
    }

    /// All log ratios in order.
    pub fn log_ratios(&self) -> Vec<f64> {
        self.all_pairs().map(Pair::log_ratio).collect()
    }

    /// The mean log ratio of each session.
    pub fn series(&self) -> Series {
        Series {
            keys: self.sessions.iter().map(|session| session.key).collect(),
            means: self.sessions.iter().map(Session::mean).collect(),
            blur: self.blur,
        }
    }

    /// The same without throttled pairs.
    #[must_use]
    pub fn unthrottled(&self) -> Self {
        let sessions = self.sessions.iter().filter_map(|session| {
            let pairs: Vec<Pair> = session.pairs.iter().copied().filter(|p| !p.throttled).collect();
            (!pairs.is_empty()).then_some(Session { key: session.key, pairs })
        });
        Self { sessions: sessions.collect(), ..self.clone() }
    }
}

/// Measurements of several candidates against one baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleTable {
    /// The baseline's name.
    pub baseline: String,
    /// The candidates, in the order of the file or the plan.
    pub candidates: Vec<CandidateSamples>,
    /// What the reader should know before trusting any number.
    pub warnings: Vec<String>,
    /// Digest of the data: seeds everything random that is done with it.
    pub digest: Digest,
}

impl SampleTable {
    /// The same without throttled pairs.
    #[must_use]
    pub fn unthrottled(&self) -> Self {
        Self {
            baseline: self.baseline.clone(),
            candidates: self.candidates.iter().map(CandidateSamples::unthrottled).collect(),
            warnings: Vec::new(),
            digest: self.digest,
        }
    }

    /// Lets nothing be claimed of a candidate some of whose answers are missing: which ones are is hardly by chance.
    pub(crate) fn doubt_what_is_missing(&mut self) {
        for candidate in self.candidates.iter_mut().filter(|candidate| !candidate.counted.is_whole()) {
            candidate.blur = f64::INFINITY;
            self.warnings
                .push(format!("{:?}: {}; nothing is claimed of it", candidate.name, candidate.counted));
        }
    }

    /// Whether any pair was throttled.
    pub fn any_throttled(&self) -> bool {
        self.candidates.iter().flat_map(CandidateSamples::all_pairs).any(|pair| pair.throttled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(baseline_ms: f64, candidate_ms: f64, throttled: bool) -> Pair {
        Pair { baseline_ms, candidate_ms, throttled }
    }

    #[test]
    fn series_are_means_of_log_ratios() {
        let e = std::f64::consts::E;
        let sessions = vec![
            Session { key: 4, pairs: vec![pair(1.0, e, false), pair(1.0, e * e * e, true)] },
            Session { key: 7, pairs: vec![pair(e, 1.0, true)] },
        ];
        let samples = CandidateSamples::whole("x", sessions);
        let series = samples.series();
        assert_eq!(series.keys, [4, 7]);
        assert!((series.means[0] - 2.0).abs() < 1e-12 && (series.means[1] + 1.0).abs() < 1e-12);
        let calm = samples.unthrottled();
        assert_eq!((calm.pairs(), calm.sessions.len()), (1, 1));
    }
}
