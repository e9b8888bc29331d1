//! Which candidates of a running measurement need no further session.

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::{Plan, Role};
use edgemaxx_contract::sample::Log;

use super::analyze::looks_of;
use crate::samples::CandidateSamples;
use crate::sequential::{StopReason, StopRule};
use crate::sources::from_log;

/// A candidate that should get no further session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyStop {
    /// Its name.
    pub candidate: String,
    /// Why, in words.
    pub reason: String,
}

/// The rule of a plan; a pure function of plan and log, so that a resumed run decides alike.
#[derive(Debug, Clone)]
pub struct EarlyStops(Option<StopRule>);

impl EarlyStops {
    /// The rule of this plan; one that never stops anybody unless the plan names a half-width.
    pub fn new(contest: &Contest, plan: &Plan) -> Self {
        let rule = plan.measurement.stopping.until_half_width.map(|half_width| {
            let racing = plan.candidates().iter().filter(|c| c.role == Role::Candidate).count();
            StopRule::new(racing, looks_of(plan).1, Some(half_width.ln_1p()), contest.score.level)
        });
        Self(rule)
    }

    /// The candidates that need no further session after those in the log. The control runs
    /// until its interval is narrow: it vouches for all others.
    pub fn wanted(&self, plan: &Plan, log: &Log) -> Vec<EarlyStop> {
        let Some(rule) = &self.0 else { return Vec::new() };
        let table = from_log(plan, log);
        let means = |samples: &CandidateSamples| samples.series().means;
        let (control, racing): (Vec<_>, Vec<_>) = plan
            .candidates()
            .iter()
            .zip(&table.candidates)
            .map(|(pipeline, samples)| (pipeline, means(samples)))
            .partition(|(pipeline, _)| pipeline.role == Role::Control);
        let race: Vec<Vec<f64>> = racing.iter().map(|(_, means)| means.clone()).collect();
        let mut stops = Vec::new();
        let mut add = |name: &str, reason: StopReason| {
            stops.push(EarlyStop { candidate: name.to_owned(), reason: reason.words().to_owned() });
        };
        for (index, (pipeline, _)) in racing.iter().enumerate() {
            if let Some(reason) = rule.decide(&race, index) {
                add(&pipeline.name, reason);
            }
        }
        for (pipeline, means) in control {
            if rule.decide(&[means], 0) == Some(StopReason::Narrow) {
                add(&pipeline.name, StopReason::Narrow);
            }
        }
        stops
    }
}
