//! Successive elimination: who needs no further session.
//!
//! A candidate leaves on what its own sessions prove, at all looks together ([`crate::sequential`]), or
//! because it can surely not become first any more ([`crate::elimination`]). What it was measured until
//! then stays, and is ranked and paid.

use edgemaxx_contract::contest::{Contest, QualitySpec, ScoreSpec};
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityRecord;

use super::analyze::looks_of;
use super::judge::{similarity, surely_missed, surely_passed};
use super::rank::{gain, quality_factor};
use crate::elimination::{self, RISK, Reaches, SessionSpeed};
use crate::sequential::{Boundary, Looks};

/// The rules of a race; they depend on contest and plan alone.
#[derive(Debug, Clone)]
pub struct Race {
    level: f64,
    until: Option<f64>,
    looks: Looks,
    /// For what is said of one candidate.
    own: Boundary,
    /// For who cannot become first.
    reaches: Reaches,
    score: ScoreSpec,
    quality: QualitySpec,
    incumbent: Option<String>,
    margin: f64,
}

/// Between which quality factors a candidate is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorRange {
    low: f64,
    high: f64,
    /// Whether its answers surely pass all gates.
    passed: bool,
}

impl FactorRange {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low: 0.0, high: 1.0, passed: false };
}

/// Between which scores a candidate is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRange {
    /// At least this; 0 while its answers may still miss a gate.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

impl Race {
    /// The race of a plan; `None` where candidates have all their sessions, whatever they show.
    pub fn of(contest: &Contest, plan: &Plan) -> Option<Self> {
        let stopping = &plan.measurement.stopping;
        if !stopping.is_adaptive() {
            return None;
        }
        let (first, last) = looks_of(plan);
        let looks = Looks::new(first, last);
        Some(Self {
            level: contest.score.level,
            until: stopping.until_half_width,
            own: looks.boundary(1.0 - contest.score.level),
            reaches: Reaches::new(last),
            looks,
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

    /// The candidate's quality factor after these answers.
    pub fn factor(&self, records: &[&QualityRecord]) -> FactorRange {
        let looks = self.looks.last() as u32;
        // Either bound, at all looks; the leader's and the candidate's own.
        let level = 1.0 - RISK / f64::from(4 * looks);
        let likeness = similarity(records, self.score.similarity, level);
        let (low, high) = quality_factor(likeness.as_ref(), &self.score).unwrap_or((0.0, 1.0));
        let passed = surely_passed(records, &self.quality.gates, self.quality.level, looks);
        FactorRange { low, high, passed }
    }

    /// Everybody's score after the sessions so far: of all who run or ran, the control among them.
    pub fn scores(&self, runners: &[(&[SessionSpeed], FactorRange)]) -> Vec<ScoreRange> {
        let speeds: Vec<&[SessionSpeed]> = runners.iter().map(|(sessions, _)| *sessions).collect();
        let ranges = elimination::ranges(&speeds, &self.reaches);
        let score =
            |(speed, (_, factor)): (elimination::SpeedRange, &(&[SessionSpeed], FactorRange))| ScoreRange {
                low: if factor.passed { gain(Some(speed.low.exp()), 0.0) * factor.low } else { 0.0 },
                high: gain(Some(speed.high.exp()), f64::INFINITY) * factor.high,
            };
        ranges.into_iter().zip(runners).map(score).collect()
    }

    /// Whether a candidate can no longer become first: another one's score is surely higher, by the
    /// contest's margin if it is yesterday's winner.
    pub fn is_beaten(&self, name: &str, own: ScoreRange, best: f64) -> bool {
        let margin = if self.incumbent.as_deref() == Some(name) { self.margin } else { 0.0 };
        own.high * (1.0 + margin) < best
    }
}
