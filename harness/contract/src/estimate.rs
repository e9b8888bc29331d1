//! `estimates.json`: what the samples say, with its uncertainty. Never a bare float.

mod honesty;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::honesty::{HonestyCheck, HonestyKind, HonestyVerdict};
use crate::contest::Cost;
use crate::counted::Counted;
use crate::digest::Digest;
use crate::document;
use crate::format::Format;
use crate::metric::{Metric, Statistic};
use crate::plan::{Extent, Role};
use crate::sample::FailureKind;

/// A number with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The estimate itself.
    pub point: f64,
    /// Lower end of the interval; `None`: unbounded or undefined.
    pub lower: Option<f64>,
    /// Upper end of the interval; `None`: unbounded or undefined.
    pub upper: Option<f64>,
    /// How it was computed, e.g. `t on session means`.
    pub method: String,
    /// Independent units the interval rests on (sessions, or pairs).
    pub n: u32,
    /// Confidence level, e.g. 0.95.
    pub level: f64,
}

/// Everything `analyze` finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimates {
    /// `edgemaxx-estimates`.
    #[serde(flatten)]
    pub format: Format,
    /// The plan.
    pub plan: Digest,
    /// Head of the samples' hash chain.
    pub samples: Digest,
    /// Digest of `quality.jsonl`.
    pub quality: Digest,
    /// What telemetry was used; `None`: the run has none.
    pub telemetry: Option<TelemetrySummary>,
    /// Full or quick.
    pub extent: Extent,
    /// Two-sided level of the speed intervals.
    pub level: f64,
    /// After how many sessions a candidate might have been ended for what it showed; `None`: all
    /// have their sessions, whatever they show.
    pub looks: Option<LookRange>,
    /// Name of the baseline.
    pub baseline: String,
    /// All candidates and the control, in the order of the plan.
    pub candidates: Vec<CandidateEstimates>,
    /// What the control says about the whole run.
    pub certificate: Certificate,
    /// What each lane did, where the run has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneEstimates>,
    /// What the reader should know before trusting any number.
    pub warnings: Vec<String>,
}

document!(Estimates, "edgemaxx-estimates", 2);

/// One lane of a run: a card, or a set of processors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LaneEstimates {
    /// Its number, from 0.
    pub lane: u32,
    /// The card that engines computed on, by number and name; `None`: the processor.
    pub card: Option<String>,
    /// The processors of its engines and of the harness.
    pub cores: Vec<u32>,
    /// Sessions, of all candidates and the control, that gave at least one pair.
    pub sessions: u32,
    /// Their pairs.
    pub pairs: u32,
    /// Its own A/A control: speedup of the baseline over itself there.
    pub control: Option<Estimate>,
    /// Two-sided p-value of "the baseline ties with itself there".
    pub control_p_value: Option<f64>,
    /// What it does to candidates: their speedup there over that on the other lanes that count.
    pub offset: Option<Estimate>,
    /// The baseline's latency there, milliseconds, geometric mean.
    pub baseline_ms: Option<f64>,
    /// Clock frequency during the baseline's requests, MHz: the card's, or the processor's where there is none.
    pub clock_mhz: Option<f64>,
    /// Why nothing that it measured counts; `None`: it counts.
    pub dropped: Option<String>,
    /// How it differs from the other lanes; `None`: nothing shows it.
    pub differs: Option<String>,
}

/// The telemetry of a run in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TelemetrySummary {
    /// Digest of `telemetry.jsonl`.
    pub digest: Digest,
    /// The GPU that was watched.
    pub gpu: Option<String>,
    /// How often the machine was read.
    pub readings: u64,
    /// Requests that it tells of.
    pub attempts: u32,
    /// Requests during which the GPU was slowed down.
    pub throttled: u32,
    /// Energy that the GPU drew while it was watched, by its own counter, joules.
    pub energy_counter_j: Option<f64>,
    /// The same from its power, integrated: the two must agree.
    pub energy_integral_j: Option<f64>,
    /// Part of one processor that reading took.
    pub processor_share: Option<f64>,
}

/// What is known of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CandidateEstimates {
    /// Its name.
    pub name: String,
    /// Candidate or control.
    pub role: Role,
    /// Sessions that gave at least one pair.
    pub sessions: u32,
    /// What each of them gave, in the order of rounds: candidates are compared by these.
    pub by_session: Vec<SessionEvidence>,
    /// Pairs both of whose sides were answered.
    pub pairs: u32,
    /// How many there should be in the sessions that it took part in, and what became of the others.
    pub counted: Counted,
    /// Pairs of which either side was measured while the device throttled; kept in `speedup`.
    pub pairs_throttled: u32,
    /// Sessions whose first pair came before both processes were steady.
    pub sessions_unsteady: u32,
    /// Sessions in which the baseline's latency changed steadily from first to last pair; pairs and
    /// random order keep that out of `speedup`.
    pub sessions_drifting: u32,
    /// Where it was stopped early: after how many sessions, and why.
    pub stopped: Option<StoppedEarly>,
    /// What failed of the candidate, by kind.
    pub failures: Vec<FailureCount>,
    /// Baseline's latency over the candidate's; `None` without pairs.
    pub speedup: Option<Estimate>,
    /// The same, with intervals that hold for all candidates at once. Holm's claims are sharper: where one is made and the
    /// interval holds 1, it ends there.
    pub speedup_simultaneous: Option<Estimate>,
    /// The same without throttled samples; `None` where none was throttled or too few remain.
    pub speedup_unthrottled: Option<Estimate>,
    /// What may be said about its speed, with the family-wise error in hand.
    pub claim: Claim,
    /// Two-sided p-value of "as fast as the baseline".
    pub p_value: Option<f64>,
    /// The same after Holm's adjustment over all candidates.
    pub p_adjusted: Option<f64>,
    /// P-value of "on every lane as fast beside the baseline", on the lanes that count; `None`: one lane, or too few
    /// sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes_p_value: Option<f64>,
    /// Ranks by speed that cannot be excluded.
    pub rank: Option<RankSet>,
    /// Tier of statistical ties by speed, 1 the fastest.
    pub tier: Option<u32>,
    /// Probability of being the fastest.
    pub p_best: Option<f64>,
    /// The candidate's latency, milliseconds.
    pub latency_ms: Option<Latency>,
    /// The baseline's latency in the same sessions, milliseconds.
    pub baseline_latency_ms: Option<Latency>,
    /// Answers per second, one after the other, from the mean latency.
    pub throughput_per_s: Option<Estimate>,
    /// Log ratios outside Tukey's fences; kept in the estimates.
    pub outliers: Outliers,
    /// Time from spawn to ready, milliseconds, mean over sessions.
    pub load_ms: Option<Estimate>,
    /// The same for the baseline in these sessions.
    pub baseline_load_ms: Option<Estimate>,
    /// Peak resident memory, bytes, mean over sessions of each one's peak.
    pub peak_rss_bytes: Option<Estimate>,
    /// The same for the baseline in these sessions.
    pub baseline_peak_rss_bytes: Option<Estimate>,
    /// Energy that the GPU draws for an answer, joules; `None` where telemetry does not tell.
    pub energy_j: Option<Estimate>,
    /// The same for the baseline in these sessions.
    pub baseline_energy_j: Option<Estimate>,
    /// Peak memory on the GPU, bytes, mean over sessions of each one's peak as far as it was read;
    /// `None` where telemetry does not tell.
    pub peak_vram_bytes: Option<Estimate>,
    /// The same for the baseline in these sessions.
    pub baseline_peak_vram_bytes: Option<Estimate>,
    /// Every gate of the contest with its bound.
    pub gates: Vec<GateEstimate>,
    /// The similarity that enters the score; each bound one-sided at the score's level.
    pub similarity: Option<Estimate>,
    /// Mean of each metric over pairs, in the order of [`Metric::all`], where computed.
    pub quality: Vec<MetricEstimate>,
    /// Requests with the lowest similarity first, at most ten.
    pub worst_requests: Vec<u32>,
    /// Whether its clock and its answers are honest, check by check.
    #[serde(default)]
    pub honesty: Vec<HonestyCheck>,
    /// How far its latency lies above what any engine needs; `None`: its checkpoint or this device does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<AboveFloor>,
    /// How its answers came, where they come in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
    /// Energy that the GPU draws for a unit of an answer, joules; `None` where answers have no units or telemetry does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_unit_j: Option<Estimate>,
    /// The same for the baseline in these sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_energy_unit_j: Option<Estimate>,
    /// The candidate's over the baseline's, from the mean of the sessions' log ratios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_unit_ratio: Option<Estimate>,
    /// Every limit of the contest with its ratio.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitEstimate>,
    /// Why nothing is known of what takes scores, where the contest asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscored: Option<String>,
    /// Each kind of request apart, where a contest has several, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<OfKind>,
}

impl CandidateEstimates {
    /// Of a candidate of which nothing was measured and nothing is claimed.
    pub fn unmeasured(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Candidate,
            sessions: 0,
            by_session: Vec::new(),
            pairs: 0,
            counted: Counted::all(0),
            pairs_throttled: 0,
            sessions_unsteady: 0,
            sessions_drifting: 0,
            stopped: None,
            failures: Vec::new(),
            speedup: None,
            speedup_simultaneous: None,
            speedup_unthrottled: None,
            claim: Claim::Tie,
            p_value: None,
            p_adjusted: None,
            lanes_p_value: None,
            rank: None,
            tier: None,
            p_best: None,
            latency_ms: None,
            baseline_latency_ms: None,
            throughput_per_s: None,
            outliers: Outliers::default(),
            load_ms: None,
            baseline_load_ms: None,
            peak_rss_bytes: None,
            baseline_peak_rss_bytes: None,
            energy_j: None,
            baseline_energy_j: None,
            peak_vram_bytes: None,
            baseline_peak_vram_bytes: None,
            gates: Vec::new(),
            similarity: None,
            quality: Vec::new(),
            worst_requests: Vec::new(),
            honesty: Vec::new(),
            floor: None,
            streaming: None,
            energy_unit_j: None,
            baseline_energy_unit_j: None,
            energy_unit_ratio: None,
            limits: Vec::new(),
            unscored: None,
            kinds: Vec::new(),
        }
    }

    /// Why its numbers count for nothing, in words: it failed, has no complete pair, or was found dishonest. Empty: they
    /// count.
    pub fn counts_for_nothing(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.failures.iter().map(FailureCount::to_string).collect();
        if self.speedup.is_none() {
            reasons.push("no complete pair".to_owned());
        }
        if reasons.is_empty() {
            reasons.extend(self.found(HonestyVerdict::Failed).map(HonestyCheck::to_string));
        }
        reasons
    }

    /// The honesty checks with this verdict.
    pub fn found(&self, verdict: HonestyVerdict) -> impl Iterator<Item = &HonestyCheck> {
        self.honesty.iter().filter(move |check| check.verdict == verdict)
    }

    /// The speedup with the interval that its claim rests on, which is the one to show beside it: for all candidates at
    /// once, or its own where there is none.
    pub fn claimed_speedup(&self) -> Option<&Estimate> {
        self.speedup_simultaneous.as_ref().or(self.speedup.as_ref())
    }
}

/// Latency beside the least that any engine needs for such answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AboveFloor {
    /// The floor at the precision that the pipeline says it uses, milliseconds, mean over answers.
    pub declared_ms: f64,
    /// The floor at the lowest precision that the device may have, milliseconds, mean over answers.
    pub lowest_ms: f64,
    /// How many times the first the latency is: the geometric mean over answers.
    pub times: f64,
    /// The smallest of these.
    pub least_times: f64,
}

/// How answers that come in parts came. Intervals are by sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// Request fully sent to the first part.
    pub first: Compared,
    /// First part to end, for each unit but one; `None` where no answer has several.
    pub next: Option<Compared>,
    /// The median time between parts; `None` where no answer has several.
    pub gap_p50: Option<Compared>,
    /// The 99th percentile of them.
    pub gap_p99: Option<Compared>,
}

/// A time of both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// The candidate's, milliseconds.
    pub candidate_ms: Estimate,
    /// The baseline's in the same sessions, milliseconds.
    pub baseline_ms: Estimate,
    /// The candidate's over the baseline's, from the mean of their log ratios: below 1 is faster.
    pub ratio: Estimate,
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OfKind {
    /// Its name in the contest.
    pub kind: String,
    /// Pairs of it.
    pub pairs: u32,
    /// What is scored, of these requests alone.
    pub scored: Compared,
    /// How answers came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
}

/// What one session gave: the unit of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionEvidence {
    /// Its round, in which every candidate has one session at most.
    pub round: u32,
    /// Mean over its pairs of ln(candidate's latency) − ln(baseline's).
    pub log_ratio: f64,
    /// Mean over its pairs of the similarity that enters the score; `None` where a pair lacks it.
    pub similarity: Option<f64>,
}

/// After how many sessions a candidate might have been ended for what it showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LookRange {
    /// The fewest.
    pub first: u32,
    /// The most: all that were planned.
    pub last: u32,
}

/// A candidate whose remaining sessions were not needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StoppedEarly {
    /// Sessions that were run.
    pub after_sessions: u32,
    /// Sessions of the plan that were not.
    pub sessions_saved: u32,
    /// Why, in words.
    pub reason: String,
    /// Whose score was surely higher, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beaten_by: Option<String>,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailureCount {
    /// The kind.
    pub kind: FailureKind,
    /// How many.
    pub count: u32,
    /// The first one's words.
    pub first: String,
}

impl fmt::Display for FailureCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} time(s): {}", self.kind, self.count, self.first)
    }
}

/// What may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Proven faster.
    Faster,
    /// Proven slower.
    Slower,
    /// Neither.
    Tie,
    /// The verdict differs with and without throttled samples, or too few others are left to find it again.
    Ambiguous,
}

/// A confidence set for a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RankSet {
    /// Best rank that cannot be excluded, from 1.
    pub lower: u32,
    /// Worst rank that cannot be excluded.
    pub upper: u32,
}

/// Latency in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean, interval by sessions.
    pub mean: Estimate,
    /// Median, interval by order statistics.
    pub p50: Estimate,
    /// 90th percentile.
    pub p90: Estimate,
    /// 99th percentile.
    pub p99: Estimate,
}

/// Counts of log ratios outside Tukey's fences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Outliers {
    /// Below Q1 − 3·IQR.
    pub low_severe: u32,
    /// Below Q1 − 1.5·IQR.
    pub low_mild: u32,
    /// Above Q3 + 1.5·IQR.
    pub high_mild: u32,
    /// Above Q3 + 3·IQR.
    pub high_severe: u32,
}

/// A gate of the contest, and whether the candidate proved it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GateEstimate {
    /// What is bounded.
    pub metric: Metric,
    /// Over pairs.
    pub statistic: Statistic,
    /// What must be proven.
    pub threshold: f64,
    /// One-sided: `lower` for metrics where higher is better, `upper` for the others.
    pub bound: Option<Estimate>,
    /// Whether the bound is on the right side of the threshold.
    pub passed: bool,
}

/// A limit of the contest, and whether the candidate proved to keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitEstimate {
    /// What is bounded.
    pub of: Cost,
    /// The largest ratio accepted.
    pub at_most: f64,
    /// The candidate's over the baseline's; `None` where it was not measured.
    pub ratio: Option<Estimate>,
    /// Whether the ratio's upper end is within.
    pub passed: bool,
}

/// The mean of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricEstimate {
    /// The metric.
    pub metric: Metric,
    /// Its mean over pairs.
    pub mean: Estimate,
    /// Its worst pair.
    pub worst: f64,
}

/// What the baseline measured against itself says about the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Name of the control.
    pub control: String,
    /// Whether the run may be believed.
    pub verdict: CertificateVerdict,
    /// In words: why.
    pub reason: String,
    /// Speedup of the baseline over itself.
    pub speedup: Option<Estimate>,
    /// Half-width of that interval, relative: the noise floor.
    pub noise_floor: Option<f64>,
    /// The smallest true change found with 80% power at this run's noise and size, relative.
    pub minimum_detectable_effect: Option<f64>,
    /// Pairs of the control whose two answers have the same bits.
    pub identical_answers: u32,
    /// Pairs of the control.
    pub pairs: u32,
}

/// Whether a run may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CertificateVerdict {
    /// The control is a tie.
    Fit,
    /// The control is not a tie, or was not measured.
    Unfit,
}
