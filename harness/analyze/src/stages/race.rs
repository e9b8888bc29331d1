//! Successive elimination: who needs no further session.
//!
//! A candidate leaves on what its own sessions prove, at all looks together ([`crate::sequential`]), or
//! because it can surely not become first any more ([`crate::elimination`]). What it was measured until
//! then stays, and is ranked and paid.

use edgemaxx_contract::contest::{Contest, QualitySpec, ScoreSpec};
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityRecord;

use super::analyze::looks_of;
use super::gates::{similarity, surely_missed, surely_passed};
use super::rank::{gain, quality_factor};
use crate::elimination::{self, RISK, Reaches, SessionSpeed};
use crate::sequential::{Boundary, Looks};

/// The rules of a race; they depend on contest and plan alone.
#[derive(Debug, Clone)]
pub struct Race {
    level: f64,
    until: Option<f64>,
    /// Log ratio up to which slower is not too slow, where the contest says so.
    tolerated: Option<f64>,
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
            tolerated: stopping.max_slowdown.map(f64::ln_1p),
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
        let (lower, upper, half_width) = (interval.lower?, interval.upper?, interval.half_width()?);
        if lower > self.tolerated.unwrap_or(0.0) {
            let more = self.tolerated.map_or("", |_| " by more than is tolerated");
            return Some(format!("it is surely slower than the baseline{more}"));
        }
        // Who may be proven faster yet, or worse, goes on until the interval is as narrow as the limit.
        if self.tolerated.is_some_and(|limit| upper < limit && half_width <= limit) {
            return Some("it is surely not slower than the baseline by more than is tolerated".to_owned());
        }
        let until = self.until?;
        (half_width <= until).then(|| format!("its speedup is known to ±{}%", until * 100.0))
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

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::Extent;

    use super::super::tests::simulated::{judged, noisy_run};
    use super::*;

    /// Why a candidate stops whose sessions lie around `mean`, wide or narrow, where so much slowdown is tolerated.
    fn stop(max_slowdown: Option<f64>, mean: f64, spread: f64) -> Option<String> {
        let mut run = noisy_run("race", Extent::Full, |_, _| {});
        run.plan.measurement.stopping.max_slowdown = max_slowdown;
        run.plan.measurement.stopping.budget_s = Some(1e6);
        let sessions = run.plan.measurement.sessions as usize;
        let means: Vec<f64> =
            (0..sessions).map(|n| mean + if n % 2 == 0 { spread } else { -spread }).collect();
        Race::of(&run.contest, &run.plan).unwrap().alone(&means, &[])
    }

    #[test]
    fn who_is_slower_stops_when_what_is_asked_is_known() {
        let (narrow, wide) = (0.0005, 0.03);
        let said = |why: Option<String>| why.unwrap_or_else(|| "goes on".to_owned());
        // In a contest whoever is slower is out; where 3% are tolerated, 2% slower is not yet too slow.
        assert!(said(stop(None, 0.02, narrow)).ends_with("slower than the baseline"));
        assert!(said(stop(Some(0.03), 0.02, narrow)).contains("surely not slower"));
        assert!(
            said(stop(Some(0.01), 0.02, narrow))
                .ends_with("slower than the baseline by more than is tolerated")
        );
        assert_eq!(said(stop(Some(0.01), 0.011, 0.003)), "goes on", "slower, and by how much is not known");
        assert_eq!(said(stop(Some(0.01), 0.0, wide)), "goes on");
        assert!(said(stop(Some(0.01), 0.0, narrow)).contains("surely not slower"));
        // Proven not slower, and yet not known to be faster: it may be by as much as the interval is wide.
        assert_eq!(said(stop(Some(0.05), -0.055, 0.06)), "goes on");
        assert_eq!(
            said(stop(Some(0.01), -0.2, wide)),
            "goes on",
            "how like its answers are takes more of them"
        );
    }

    #[test]
    fn a_tolerated_slowdown_alone_makes_a_race() {
        let mut run = noisy_run("race", Extent::Full, |_, _| {});
        assert!(Race::of(&run.contest, &run.plan).is_none());
        run.plan.measurement.stopping.max_slowdown = Some(0.01);
        assert!(Race::of(&run.contest, &run.plan).is_some());
    }

    /// A race of five sessions at most.
    fn race() -> Race {
        let mut run = noisy_run("race", Extent::Full, |_, _| {});
        run.plan.measurement.stopping.max_slowdown = Some(0.01);
        Race::of(&run.contest, &run.plan).unwrap()
    }

    #[test]
    fn a_bound_that_is_reached_is_not_passed() {
        let mut race = race();
        let spent = race.looks.boundary(0.05).alpha(5);
        assert!(
            (race.own.alpha(5) / spent - 1.0).abs() < 1e-3,
            "the error is what the contest's level leaves"
        );
        let means = [-0.01, 0.01, 0.0, 0.02, 0.03];
        let interval = race.own.interval(&means, 0.95, 5);
        let (lower, upper, half_width) =
            (interval.lower.unwrap(), interval.upper.unwrap(), interval.half_width().unwrap());
        assert!(lower < 0.0 && half_width < upper);
        let mut said = |tolerated: f64, until: f64| {
            (race.tolerated, race.until) = (Some(tolerated), Some(until));
            race.alone(&means, &[])
        };
        let (tiny, above) = (1e-9, 1.0 + 1e-9);
        assert_eq!(said(lower, tiny), None);
        assert!(said(lower - 1e-9, tiny).unwrap().contains("surely slower"));
        assert_eq!(said(upper, tiny), None);
        assert!(said(upper * above, tiny).unwrap().contains("surely not slower"));
        assert!(said(half_width, half_width).unwrap().starts_with("its speedup is known to ±"));
        assert_eq!(said(half_width, half_width / above), None);
    }

    /// The risk of a race is split over its five looks, and over either bound of the leader and of the candidate.
    #[test]
    fn a_factor_lies_between_what_both_bounds_of_the_likeness_make() {
        let race = race();
        let records: Vec<QualityRecord> =
            (0..12).map(|pair| judged("quick", 0, pair, pair, 0.9 + 0.005 * f64::from(pair))).collect();
        let records: Vec<&QualityRecord> = records.iter().collect();
        let likeness = similarity(&records, race.score.similarity, 1.0 - 0.015 / 20.0);
        let (low, high) = quality_factor(likeness.as_ref(), &race.score).unwrap();
        let found = race.factor(&records);
        assert!((found.low - low).abs() < 1e-12 && (found.high - high).abs() < 1e-12, "{found:?}");
        assert!(found.low < found.high && found.passed);
        assert_eq!(race.factor(&[]), FactorRange::UNKNOWN);
    }

    #[test]
    fn a_score_is_a_gain_times_a_factor_at_either_end() {
        let race = race();
        let session = |candidate: u32, round: u32| SessionSpeed {
            round,
            candidate: -f64::from(candidate) / 4.0 + 0.01 * f64::from((candidate * 3 + round * 5) % 7),
            baseline: 0.0,
        };
        let sessions: Vec<Vec<SessionSpeed>> =
            (0..6).map(|candidate| (0..4).map(|round| session(candidate, round)).collect()).collect();
        let factor = |passed| FactorRange { low: 0.5, high: 0.75, passed };
        let runners: Vec<(&[SessionSpeed], FactorRange)> =
            sessions.iter().zip(0..).map(|(of, at)| (of.as_slice(), factor(at != 4))).collect();
        let speeds: Vec<&[SessionSpeed]> = sessions.iter().map(Vec::as_slice).collect();
        let ranges = elimination::ranges(&speeds, &race.reaches);
        let scores = race.scores(&runners);
        assert_eq!(scores.len(), 6);
        for (at, (score, speed)) in scores.into_iter().zip(ranges).enumerate() {
            let gains = [speed.low, speed.high].map(|ln| (ln.exp() - 1.0).max(0.0));
            let low = if at == 4 { 0.0 } else { gains[0] * 0.5 };
            assert!((score.low - low).abs() < 1e-12 && (score.high - gains[1] * 0.75).abs() < 1e-12);
            assert!(at != 5 || low > 0.5, "{score:?}");
        }
    }

    #[test]
    fn who_won_yesterday_is_beaten_by_the_margin_and_others_by_anything() {
        let race = Race { incumbent: Some("old".to_owned()), margin: 0.25, ..race() };
        let own = ScoreRange { low: 0.0, high: 0.5 };
        for (name, best, beaten) in
            [("old", 0.625, false), ("old", 0.626, true), ("new", 0.5, false), ("new", 0.501, true)]
        {
            assert_eq!(race.is_beaten(name, own, best), beaten, "{name} {best}");
        }
    }
}
