//! The answer to `edgemaxx analyze --samples FILE`: a table of measurements, judged by itself.

use serde::Serialize;

use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::estimate::Claim;

use crate::inference::{CandidateInference, Settings, SettingsError, infer};
use crate::samples::{CandidateSamples, SampleTable};

/// What `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnalyzeReport {
    /// The pipeline all others are compared with.
    pub baseline: String,
    /// Confidence level of the intervals, and of all claims together.
    pub level: f64,
    /// The others, in the order of the file.
    pub candidates: Vec<CandidateReport>,
    /// What the reader should know before trusting any number.
    pub warnings: Vec<String>,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateReport {
    /// Its name.
    pub pipeline: String,
    /// Sessions with at least one pair.
    pub sessions: u32,
    /// Pairs.
    pub pairs: u32,
    /// How many there should be, and what became of the others.
    pub counted: Counted,
    /// Baseline's latency over the candidate's.
    pub speedup: Speedup,
    /// `faster`, `slower` or `tie`, with the family-wise error in hand; `cannot tell` where answers are missing, where all
    /// differences are equal, and where there are too few for a p-value. An ambiguous verdict (other without throttled samples) is a tie, and a
    /// warning names it.
    pub claim: &'static str,
    /// Two-sided p-value of "as fast as the baseline".
    pub p_value: Option<f64>,
    /// The same after Holm's adjustment over all candidates.
    pub p_adjusted: Option<f64>,
    /// Ranks by speed that cannot be excluded, 1 the fastest.
    pub rank: RankRange,
    /// Tier of statistical ties by speed, 1 the fastest.
    pub tier: u32,
    /// Probability of being the fastest.
    pub p_best: Option<f64>,
}

/// A speedup with the interval for all candidates at once, which its claim rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speedup {
    /// The estimate.
    pub point: f64,
    /// Lower bound; `None` where the data give none.
    pub lower: Option<f64>,
    /// Upper bound; `None` where the data give none.
    pub upper: Option<f64>,
    /// The method's name.
    pub method: &'static str,
}

/// A confidence set for a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RankRange {
    /// Best rank that cannot be excluded.
    pub lower: u32,
    /// Worst rank that cannot be excluded.
    pub upper: u32,
}

impl AnalyzeReport {
    /// Analyses a table. Equal tables and settings give equal reports, on any number of threads.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn of(table: &SampleTable, settings: &Settings) -> Result<Self, SettingsError> {
        let inference = infer(table, settings)?;
        let mut warnings = inference.warnings;
        let candidates = table
            .candidates
            .iter()
            .zip(&inference.candidates)
            .filter_map(|(samples, inferred)| candidate(samples, inferred, &mut warnings))
            .collect();
        Ok(Self { baseline: table.baseline.clone(), level: settings.level, candidates, warnings })
    }
}

fn candidate(
    samples: &CandidateSamples,
    inferred: &CandidateInference,
    warnings: &mut Vec<String>,
) -> Option<CandidateReport> {
    let (Some(summary), Some((lower, upper)), Some(tier)) =
        (inferred.simultaneous, inferred.rank, inferred.tier)
    else {
        warnings.push(format!("{:?} has no complete pair", samples.name));
        return None;
    };
    if inferred.claim == Claim::Ambiguous {
        warnings.push(format!(
            "{:?}: {} of {} pairs were throttled, and without them the verdict is another, or too few are left to find it; \
             nothing is claimed",
            samples.name,
            samples.all_pairs().filter(|pair| pair.throttled).count(),
            samples.pairs()
        ));
    }
    Some(CandidateReport {
        pipeline: samples.name.clone(),
        sessions: samples.sessions.len() as u32,
        pairs: samples.pairs() as u32,
        speedup: Speedup {
            point: (-summary.point).exp(),
            lower: summary.upper.map(|d| (-d).exp()),
            upper: summary.lower.map(|d| (-d).exp()),
            method: summary.method.name(),
        },
        counted: samples.counted.clone(),
        claim: match inferred.claim {
            Claim::Ambiguous => "cannot tell",
            Claim::Tie if inferred.p_value.is_none() => "cannot tell",
            Claim::Faster => "faster",
            Claim::Slower => "slower",
            Claim::Tie => "tie",
        },
        p_value: inferred.p_value,
        p_adjusted: inferred.p_adjusted,
        rank: RankRange { lower, upper },
        tier,
        p_best: inferred.p_best,
    })
}
