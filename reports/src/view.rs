//! What a report is made from, and the look-ups every form of it shares.

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::{CandidateEstimates, Estimates};
use edgemaxx_contract::metric::Statistic;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::ranking::{RankEntry, Ranking};
use edgemaxx_contract::sample::Log;

use crate::day::DayView;

/// A run, read and checked by the caller. Rendering is a pure function of it.
#[derive(Debug, Clone, Copy)]
pub struct RunView<'a> {
    /// The contest.
    pub contest: &'a Contest,
    /// What was to be measured.
    pub plan: &'a Plan,
    /// What was measured.
    pub log: &'a Log,
    /// The numbers of all pairs of answers.
    pub quality: &'a QualityLog,
    /// What the samples say.
    pub estimates: &'a Estimates,
    /// Who earns what.
    pub ranking: &'a Ranking,
    /// Where it was measured.
    pub environment: &'a Environment,
    /// The validator's day that it was a run of, if it was one.
    pub day: Option<DayView<'a>>,
    /// The files the report rests on, in the order of the stages.
    pub files: &'a [FileDigest],
}

/// A file of the run folder and the digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Name inside the run folder.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// Where answers come from.
pub trait AnswerSource: Sync {
    /// The file of the answer that has this digest; `None`: it was not kept.
    fn file(&self, digest: &Digest) -> Option<Vec<u8>>;
}

/// No answers at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAnswers;

impl AnswerSource for NoAnswers {
    fn file(&self, _digest: &Digest) -> Option<Vec<u8>> {
        None
    }
}

impl<'a> RunView<'a> {
    /// The candidates as ranked: each entry with its estimates, where there are any.
    pub(crate) fn ranked(&self) -> Vec<(&'a RankEntry, Option<&'a CandidateEstimates>)> {
        let find = |name: &str| self.estimates.candidates.iter().find(|c| c.name == name);
        self.ranking.entries.iter().map(|entry| (entry, find(&entry.name))).collect()
    }

    /// The similarity a candidate must prove: the gate on the mean of the score's similarity, else
    /// the value at which the score's quality factor is 0.
    pub(crate) fn similarity_gate(&self) -> f64 {
        let metric = self.contest.score.similarity;
        let mean = Statistic::Mean;
        let gate = self.contest.quality.gates.iter().find(|g| g.metric == metric && g.statistic == mean);
        gate.map_or(self.contest.score.similarity_gate, |gate| gate.threshold)
    }
}
