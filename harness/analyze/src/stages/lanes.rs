//! The lanes of a run: which of them count, what each one says, and whether they agree.
//!
//! The rule of who is left out stands here, before anything is measured: a lane whose own A/A control is no tie, tested
//! at the certificate's alarm divided by the number of lanes, or that has no control where others have one. All that it
//! measured is left out of speed and quality, of every candidate alike. Where no lane would be left, all stay, and the
//! run is unfit.

use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::estimate::LaneEstimates;
use edgemaxx_contract::plan::{Plan, Role, Side, lane_of};
use edgemaxx_contract::sample::{Attempt, Phase, RecordedSession};

use super::control::ALARM;
use super::estimate::speedup;
use crate::estimators::student;
use crate::inference::lanes::{LaneMeans, odd_lanes};
use crate::inference::pairwise::Series;
use crate::samples::{CandidateSamples, Pair, SampleTable};
use crate::telemetry::Derived;

/// How lanes' numbers are made.
const METHOD: &str = "t on session means, their spread pooled within lanes";

/// What lanes are judged by, beside the samples.
pub(super) struct Measured<'a> {
    pub(super) plan: &'a Plan,
    pub(super) environment: Option<&'a Environment>,
    pub(super) telemetry: Option<&'a Derived>,
}

/// What is known of the lanes of a run; of a run on one lane nothing, and it counts.
pub(super) struct Lanes {
    /// One for each lane.
    pub(super) rows: Vec<LaneEstimates>,
    /// What the reader should know of them.
    pub(super) warnings: Vec<String>,
    /// Why the run is unfit, where no lane may be believed.
    pub(super) unfit: Option<String>,
}

impl Lanes {
    /// Looks at the lanes of a run, and leaves those that do not count out of `table`.
    pub(super) fn of(
        measured: &Measured<'_>,
        recorded: &[RecordedSession<'_>],
        table: &mut SampleTable,
        level: f64,
    ) -> Self {
        let plan = measured.plan;
        let mut lanes = Self { rows: Vec::new(), warnings: Vec::new(), unfit: None };
        if plan.lanes == 1 {
            return lanes;
        }
        lanes.rows = (0..plan.lanes).map(|lane| row(measured, recorded, table, lane)).collect();
        lanes.hear_controls(plan, table, level);
        leave_out(&lanes.rows, table);
        lanes.compare(plan, table, level);
        lanes
    }

    /// Whether what was measured in a round counts.
    pub(super) fn keeps(&self, round: u32) -> bool {
        keeps(&self.rows, round)
    }

    /// What each candidate's sessions on lanes that count say of "all lanes have one mean".
    pub(super) fn heterogeneity(&self, samples: &CandidateSamples) -> Option<f64> {
        self.on_lanes(&samples.series())?.heterogeneity()
    }

    /// A series by lane; `None`: there is one lane.
    fn on_lanes(&self, series: &Series) -> Option<LaneMeans> {
        let lanes = self.rows.len() as u32;
        (lanes > 1).then(|| LaneMeans::of(series, lanes))
    }

    /// Each lane's A/A control, and who is left out for it.
    fn hear_controls(&mut self, plan: &Plan, table: &SampleTable, level: f64) {
        let Some(samples) = plan.control().and_then(|c| table.candidates.iter().find(|s| s.name == c.name))
        else {
            return;
        };
        let Some(means) = self.on_lanes(&samples.series()) else { return };
        let bound = ALARM / self.rows.len() as f64;
        for row in &mut self.rows {
            if means.sessions(row.lane as usize) == 0 {
                row.dropped =
                    (!samples.sessions.is_empty()).then(|| "its A/A control was not measured".to_owned());
                continue;
            }
            let Some(found) = means.mean(row.lane as usize, level) else { continue };
            row.control = Some(speedup(&found, METHOD));
            row.control_p_value = found.p_value;
            if let Some(p) = found.p_value.filter(|p| *p <= bound) {
                let percent = 100.0 * (-found.point).exp_m1();
                row.dropped = Some(format!(
                    "its A/A control is no tie: {percent:+.2}% (p = {p:.2e}, at most {bound:.2e} drops a lane)"
                ));
            }
        }
        if self.rows.iter().all(|row| row.dropped.is_some()) {
            self.unfit = Some("the A/A control of no lane is a tie".to_owned());
            self.rows.iter_mut().for_each(|row| row.dropped = None);
        }
        for row in &self.rows {
            let Some(why) = &row.dropped else { continue };
            self.warnings
                .push(format!("lane {} was dropped: {why}; nothing that it measured counts", row.lane));
        }
    }

    /// What lanes that count do to candidates beside the baseline.
    fn compare(&mut self, plan: &Plan, table: &SampleTable, level: f64) {
        let racing = |name: &str| plan.pipeline(name).is_some_and(|p| p.role == Role::Candidate);
        let candidates: Vec<&CandidateSamples> =
            table.candidates.iter().filter(|samples| racing(&samples.name)).collect();
        if let Some(means) = together(&candidates).and_then(|together| self.on_lanes(&together)) {
            for row in self.rows.iter_mut().filter(|row| row.dropped.is_none()) {
                row.offset = means.apart(row.lane as usize, level).map(|found| speedup(&found, METHOD));
            }
        }
        let series: Vec<LaneMeans> =
            candidates.iter().filter_map(|samples| self.on_lanes(&samples.series())).collect();
        for (lane, at, p) in odd_lanes(&series, ALARM) {
            let Some(found) = series[at].apart(lane, level) else { continue };
            let (percent, name) = (100.0 * found.point.abs().exp_m1(), &candidates[at].name);
            let word = if found.point > 0.0 { "slower" } else { "faster" };
            let why = format!(
                "{name:?} is {percent:.1}% {word} beside the baseline there than on the other lanes (p = {p:.2e})"
            );
            self.warnings.push(format!("lane {lane} differs: {why}"));
            self.rows[lane].differs = Some(why);
        }
    }
}

/// Whether what was measured in a round counts, where these are the lanes.
pub(super) fn keeps(rows: &[LaneEstimates], round: u32) -> bool {
    let lane = rows.get(lane_of(round, rows.len() as u32) as usize);
    lane.is_none_or(|lane| lane.dropped.is_none())
}

/// Leaves what was measured on lanes that do not count out.
pub(super) fn leave_out(rows: &[LaneEstimates], table: &mut SampleTable) {
    for samples in &mut table.candidates {
        let before = samples.pairs();
        samples.sessions.retain(|session| keeps(rows, session.key));
        let gone = (before - samples.pairs()) as u64;
        samples.counted.compared -= gone;
        samples.counted.leave_out(gone, "on a lane that was dropped");
    }
}

/// The mean of those candidates that have all rounds, round by round: what lanes do to candidates at large.
fn together(candidates: &[&CandidateSamples]) -> Option<Series> {
    let all: Vec<Series> = candidates.iter().map(|samples| samples.series()).collect();
    let keys = all.iter().map(|series| &series.keys).max_by_key(|keys| keys.len())?.clone();
    let whole: Vec<&Series> = all.iter().filter(|series| series.keys == keys).collect();
    let mean = |at: usize| student::mean(&whole.iter().map(|series| series.means[at]).collect::<Vec<_>>());
    Some(Series { means: (0..keys.len()).map(mean).collect(), keys, blur: 0.0 })
}

/// What a lane is, and what it did.
fn row(
    measured: &Measured<'_>,
    recorded: &[RecordedSession<'_>],
    table: &SampleTable,
    lane: u32,
) -> LaneEstimates {
    let plan = measured.plan;
    let here = |round: u32| plan.lane_of(round) == lane;
    let sessions: Vec<_> =
        table.candidates.iter().flat_map(|c| &c.sessions).filter(|session| here(session.key)).collect();
    let pairs: Vec<&Pair> = sessions.iter().flat_map(|session| &session.pairs).collect();
    let logs: Vec<f64> = pairs.iter().map(|pair| pair.baseline_ms.ln()).collect();
    let of_baseline = |attempt: &&&Attempt| {
        attempt.side == Side::Baseline && matches!(attempt.phase, Phase::Measured { .. })
    };
    let own = plan.sessions.iter().zip(recorded).filter(|(planned, _)| here(planned.round));
    let clocks: Vec<f64> = own
        .flat_map(|(_, recorded)| recorded.attempts.iter().filter(of_baseline))
        .filter_map(|attempt| measured.telemetry?.attempt(attempt))
        .filter_map(|known| known.gpu_mhz.or(known.cpu_mhz))
        .collect();
    let place = measured.environment.and_then(|environment| environment.lanes.get(lane as usize));
    let bounds = place.and_then(|place| place.bounds.as_ref());
    let mut cores: Vec<u32> = bounds
        .map(|bounds| [bounds.cores.clone(), bounds.harness_cores.clone()].concat())
        .unwrap_or_default();
    cores.sort_unstable();
    cores.dedup();
    LaneEstimates {
        lane,
        card: place
            .and_then(|place| place.card.as_ref())
            .map(|card| format!("{}: {}", card.index, card.name)),
        cores,
        sessions: sessions.len() as u32,
        pairs: pairs.len() as u32,
        control: None,
        control_p_value: None,
        offset: None,
        baseline_ms: (!logs.is_empty()).then(|| student::mean(&logs).exp()),
        clock_mhz: (!clocks.is_empty()).then(|| student::mean(&clocks)),
        dropped: None,
        differs: None,
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::estimate::Estimates;
    use edgemaxx_contract::plan::Extent;
    use edgemaxx_contract::ranking::Ranking;
    use edgemaxx_contract::sample::{Outcome, Record};

    use super::super::tests::simulated::{CONFINED, Run, TRUTH, drawn_run, environment};
    use super::super::{analyze, rank, settings_of};
    use super::*;

    const SPREAD: f64 = 0.002;

    /// A run on two lanes with `change` of a latency by lane, side and candidate.
    fn run(change: impl Fn(u32, Side, &str) -> f64) -> Run {
        let mut run = drawn_run("lanes", Extent::Full, &TRUTH, SPREAD, |plan, record| {
            if let Record::Attempt(attempt) = record
                && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
            {
                let session = &plan.sessions[attempt.session as usize];
                let factor = change(session.round % 2, attempt.side, &session.candidate);
                *latency_ns = (*latency_ns as f64 * factor) as u64;
            }
        });
        run.plan = run.plan.in_lanes(2).unwrap();
        run
    }

    fn verdict(run: &Run) -> (Estimates, Ranking) {
        let estimates = analyze(&run.evidence(), &settings_of(&run.contest, &run.plan)).unwrap();
        let ranking = rank(&estimates, &run.contest, &environment(CONFINED));
        (estimates, ranking)
    }

    fn standings(ranking: &Ranking) -> Vec<(String, u32)> {
        ranking.entries.iter().map(|entry| (entry.name.clone(), entry.tier.unwrap_or(0))).collect()
    }

    #[test]
    fn a_lane_that_is_slower_on_everything_changes_no_verdict() {
        let (usual, ranked) = verdict(&run(|_, _, _| 1.0));
        let (found, ranking) = verdict(&run(|lane, _, _| if lane == 1 { 1.3 } else { 1.0 }));
        assert_eq!(standings(&ranking), standings(&ranked));
        assert_eq!(ranking.fitness, ranked.fitness);
        assert!(
            found.lanes.iter().all(|lane| lane.dropped.is_none() && lane.differs.is_none()),
            "{:?}",
            found.lanes
        );
        let (fast, slow) = (found.lanes[0].baseline_ms.unwrap(), found.lanes[1].baseline_ms.unwrap());
        assert!((slow / fast - 1.3).abs() < 0.1, "it is seen all the same: {fast} {slow}");
        for (one, other) in found.candidates.iter().zip(&usual.candidates) {
            let (one, other) = (one.speedup.as_ref().unwrap(), other.speedup.as_ref().unwrap());
            assert!((one.point / other.point - 1.0).abs() < 1e-6, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_lane_that_slows_candidates_alone_is_named() {
        let planted = |lane: u32, side: Side, name: &str| {
            let own = lane == 1 && side == Side::Candidate && name != "clone";
            if own { 1.1 } else { 1.0 }
        };
        let (found, _) = verdict(&run(planted));
        assert!(
            found.warnings.iter().any(|words| words.starts_with("lane 1 differs")),
            "{:?}",
            found.warnings
        );
        assert!(found.lanes[1].differs.as_ref().unwrap().contains("slower"), "{:?}", found.lanes[1]);
        let offset = found.lanes[1].offset.as_ref().unwrap();
        assert!(offset.upper.unwrap() < 1.0 && (offset.point * 1.1 - 1.0).abs() < 0.02, "{offset:?}");
        let quick = found.candidates.iter().find(|candidate| candidate.name == "quick").unwrap();
        assert!(quick.lanes_p_value.unwrap() < 0.01, "{:?}", quick.lanes_p_value);
        assert!(found.lanes.iter().all(|lane| lane.dropped.is_none()), "its control is a tie");
    }

    #[test]
    fn a_lane_whose_control_is_no_tie_counts_for_nothing() {
        let crooked = |lane: u32, side: Side, _: &str| {
            if lane == 1 && side == Side::Candidate { 0.8 } else { 1.0 }
        };
        let (found, ranking) = verdict(&run(crooked));
        let (usual, ranked) = verdict(&run(|_, _, _| 1.0));
        assert!(found.lanes[0].dropped.is_none());
        assert!(found.lanes[1].dropped.as_ref().unwrap().contains("no tie"), "{:?}", found.lanes);
        assert!(found.warnings.iter().any(|words| words.starts_with("lane 1 was dropped")));
        assert_eq!(ranking.fitness, ranked.fitness);
        for (one, other) in found.candidates.iter().zip(&usual.candidates) {
            assert!(one.sessions < other.sessions && one.by_session.iter().all(|s| s.round % 2 == 0));
            assert!(one.counted.to_string().contains("on a lane that was dropped"), "{}", one.counted);
        }
        // Where none is left, the run is unfit, although the lanes' errors cancel.
        let both = |lane: u32, side: Side, _: &str| match (lane, side) {
            (_, Side::Baseline) => 1.0,
            (0, _) => 1.25,
            _ => 0.8,
        };
        let (found, ranking) = verdict(&run(both));
        assert!(ranking.winner.is_none(), "{}", ranking.verdict);
        assert!(found.certificate.reason.contains("no lane is a tie"), "{}", found.certificate.reason);
    }
}
