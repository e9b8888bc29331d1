//! Successive elimination: who needs no further session.
//!
//! After every session each candidate has an interval of its speedup, and of its score, that hold at
//! all looks together ([`crate::sequential`]); those of scores hold for all candidates, too. A candidate
//! leaves on what they prove. What it was measured until then stays, and is ranked and paid.

use edgemaxx_contract::contest::{Contest, QualitySpec, ScoreSpec};
use edgemaxx_contract::plan::{Plan, Role};
use edgemaxx_contract::quality::QualityRecord;

use super::analyze::looks_of;
use super::judge::{similarity, surely_missed, surely_passed};
use super::rank::{gain, quality_factor};
use crate::sequential::{Boundary, Looks};

/// The rules of a race; they depend on contest and plan alone.
#[derive(Debug, Clone)]
pub struct Race {
    level: f64,
    until: Option<f64>,
    looks: Looks,
    /// For what is said of one candidate.
    own: Boundary,
    /// For what is said of all of them at once.
    together: Boundary,
    candidates: usize,
    score: ScoreSpec,
    quality: QualitySpec,
    incumbent: Option<String>,
    margin: f64,
}

/// Between which scores a candidate is, all candidates and looks at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRange {
    /// At least this; 0 while its answers may still miss a gate.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

impl ScoreRange {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low: 0.0, high: f64::INFINITY };
}

impl Race {
    /// The race of a plan; `None` where candidates have all their sessions, whatever they show.
    pub fn of(contest: &Contest, plan: &Plan) -> Option<Self> {
        let stopping = &plan.measurement.stopping;
        if !stopping.is_adaptive() {
            return None;
        }
        let candidates = plan.candidates().iter().filter(|c| c.role == Role::Candidate).count().max(1);
        let (first, last) = looks_of(plan);
        let looks = Looks::new(first, last);
        let alpha = 1.0 - contest.score.level;
        Some(Self {
            level: contest.score.level,
            until: stopping.until_half_width,
            own: looks.boundary(alpha),
            together: looks.boundary(alpha / candidates as f64),
            looks,
            candidates,
            score: contest.score.clone(),
            quality: contest.quality.clone(),
            incumbent: contest.incumbent.clone(),
            margin: contest.rewards.margin,
        })
    }

    /// Why a candidate needs no further session whatever the others do, if so: `means` are the log
    /// ratios of its sessions, `records` the quality of its answers.
    pub fn alone(&self, means: &[f64], records: &[&QualityRecord]) -> Option<String> {
        let looks = self.looks.last() as u32;
        if let Some(gate) = surely_missed(records, &self.quality.gates, self.quality.level, looks) {
            return Some(format!("it surely misses the gate on the {} of {}", gate.statistic, gate.metric));
        }
        let interval = self.own.interval(means, self.level, self.looks.first());
        if interval.lower? > 0.0 {
            return Some("it is surely slower than the baseline".to_owned());
        }
        let until = self.until?;
        (interval.half_width()? <= until).then(|| format!("its speedup is known to ±{}%", until * 100.0))
    }

    /// The candidate's score range after these sessions.
    pub fn range(&self, means: &[f64], records: &[&QualityRecord]) -> ScoreRange {
        let interval = self.together.interval(means, self.level, self.looks.first());
        let (Some(lower), Some(upper)) = (interval.lower, interval.upper) else {
            return ScoreRange::UNKNOWN;
        };
        // One of two bounds, of all candidates, at all looks.
        let parts = 2 * self.candidates * self.looks.last();
        let likeness = similarity(records, self.score.similarity, 1.0 - (1.0 - self.level) / parts as f64);
        let (low, high) = quality_factor(likeness.as_ref(), &self.score).unwrap_or((0.0, 1.0));
        let passed =
            surely_passed(records, &self.quality.gates, self.quality.level, self.looks.last() as u32);
        ScoreRange {
            low: if passed { gain(Some((-upper).exp()), 0.0) * low } else { 0.0 },
            high: gain(Some((-lower).exp()), f64::INFINITY) * high,
        }
    }

    /// Whether a candidate can no longer become first: another one's score is surely higher, by the
    /// contest's margin if it is yesterday's winner.
    pub fn is_beaten(&self, name: &str, own: ScoreRange, best: f64) -> bool {
        let margin = if self.incumbent.as_deref() == Some(name) { self.margin } else { 0.0 };
        own.high * (1.0 + margin) < best
    }
}
