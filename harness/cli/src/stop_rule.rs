//! The statistics' stopping rule, as `measure` asks for it.

use std::collections::BTreeSet;

use edgemaxx_analyze::samples::CandidateSamples;
use edgemaxx_analyze::sequential::{StopReason, StopRule};
use edgemaxx_analyze::sources::from_log;
use edgemaxx_analyze::surely_missed;
use edgemaxx_contract::contest::{Contest, QualitySpec};
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::{Log, Stop};
use edgemaxx_quality::Judge;

use crate::cmd::quality::{Models, pairs};
use crate::folder::RunFolder;

/// Ends candidates that are known well enough, where the plan asks for it.
pub(crate) struct SequentialStops {
    level: f64,
    /// Without a half-width nothing is ended early.
    until: Option<(f64, GateWatch)>,
}

impl SequentialStops {
    /// The rule of a plan.
    pub(crate) fn of(folder: &RunFolder, plan: &Plan, contest: &Contest) -> anyhow::Result<Self> {
        let until = match plan.measurement.stopping.until_half_width {
            Some(half_width) => Some((half_width, GateWatch::of(folder, contest)?)),
            None => None,
        };
        Ok(Self { level: contest.score.level, until })
    }
}

impl edgemaxx_measure::StopRule for SequentialStops {
    fn after_session(&mut self, plan: &Plan, log: &Log) -> Vec<Stop> {
        let Some((until, gates)) = &mut self.until else { return Vec::new() };
        gates.look(plan, log);
        let decide = |samples: &CandidateSamples| {
            let planned = planned_sessions(plan, &samples.name);
            let rule = StopRule::new(1, planned as usize, Some(*until), self.level);
            let reason = gates
                .missed(&samples.name, planned)
                .or_else(|| by_speed(&rule, &samples.series().means, *until))?;
            let after = samples.sessions.len() as u32;
            Some(Stop {
                candidate: samples.name.clone(),
                after_sessions: after,
                reason,
                sessions_saved: planned - after,
            })
        };
        from_log(plan, log).candidates.iter().filter_map(decide).collect()
    }
}

fn planned_sessions(plan: &Plan, candidate: &str) -> u32 {
    plan.sessions.iter().filter(|session| session.candidate == candidate).count() as u32
}

/// A candidate is judged against the baseline alone: that another one is faster is no reason to
/// end it, since the other's pictures may yet be rejected.
fn by_speed(rule: &StopRule, session_means: &[f64], until: f64) -> Option<String> {
    match rule.decide(&[session_means.to_vec()], 0)? {
        StopReason::Narrow => Some(format!("its speedup is known to ±{}%", until * 100.0)),
        StopReason::Slower => Some("it is surely slower than the baseline".to_owned()),
        StopReason::Beaten => None,
    }
}

/// Judges pictures between sessions, off the clock, to end candidates that surely fail.
struct GateWatch {
    folder: RunFolder,
    judge: Judge,
    quality: QualitySpec,
    /// Session and position of the pairs that were looked at.
    judged: BTreeSet<(u32, u32)>,
    records: Vec<QualityRecord>,
}

impl GateWatch {
    fn of(folder: &RunFolder, contest: &Contest) -> anyhow::Result<Self> {
        Ok(Self {
            folder: folder.clone(),
            judge: Models::of(folder, contest, None)?.judge(Vec::new())?,
            quality: contest.quality.clone(),
            judged: BTreeSet::new(),
            records: Vec::new(),
        })
    }

    /// Judges the pairs that are new since the last look. Pictures that cannot be judged now end
    /// nobody; the quality stage will say what is wrong with them.
    fn look(&mut self, plan: &Plan, log: &Log) {
        let mut new = pairs(&self.folder, plan, log);
        new.retain(|pair| self.judged.insert((pair.session, pair.pair)));
        self.records.extend(self.judge.judge(&new, &|| {}).unwrap_or_default());
    }

    /// Why a candidate's pictures surely fail, if they do.
    fn missed(&self, candidate: &str, looks: u32) -> Option<String> {
        let records: Vec<&QualityRecord> =
            self.records.iter().filter(|record| record.candidate == candidate).collect();
        let gate = surely_missed(&records, &self.quality.gates, self.quality.level, looks)?;
        Some(format!("it surely misses the gate on the {} of {}", gate.statistic, gate.metric))
    }
}
