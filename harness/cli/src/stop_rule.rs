//! The statistics' stopping rule, as `measure` asks for it.

use edgemaxx_analyze::samples::CandidateSamples;
use edgemaxx_analyze::sequential::{StopReason, StopRule};
use edgemaxx_analyze::sources::from_log;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Log, Stop};

/// Ends candidates that are known well enough, where the contest asks for it.
pub(crate) struct SequentialStops {
    until: Option<f64>,
    level: f64,
}

impl SequentialStops {
    /// The rule a contest wants; without `measurement.until_half_width` nothing is ended early.
    pub(crate) fn of(contest: &Contest) -> Self {
        Self { until: contest.measurement.stopping.until_half_width, level: contest.score.level }
    }

    /// A candidate is judged against the baseline alone: that another one is faster is no reason
    /// to end it, since the other's pictures may yet be rejected.
    fn decide(&self, plan: &Plan, samples: &CandidateSamples) -> Option<Stop> {
        let planned = plan.sessions.iter().filter(|session| session.candidate == samples.name).count();
        let rule = StopRule::new(1, planned, self.until, self.level);
        let means: Vec<f64> = samples
            .sessions
            .iter()
            .map(|session| {
                session.pairs.iter().map(|pair| pair.log_ratio()).sum::<f64>() / session.pairs.len() as f64
            })
            .collect();
        let reason = match rule.decide(std::slice::from_ref(&means), 0)? {
            StopReason::Narrow => format!("its speedup is known to ±{}%", self.until? * 100.0),
            StopReason::Slower => "it is surely slower than the baseline".to_owned(),
            StopReason::Beaten => return None,
        };
        let (after, planned) = (means.len() as u32, planned as u32);
        Some(Stop {
            candidate: samples.name.clone(),
            after_sessions: after,
            reason,
            sessions_saved: planned - after,
        })
    }
}

impl edgemaxx_measure::StopRule for SequentialStops {
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop> {
        if self.until.is_none() {
            return Vec::new();
        }
        from_log(plan, log).candidates.iter().filter_map(|samples| self.decide(plan, samples)).collect()
    }
}
