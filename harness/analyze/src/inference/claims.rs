//! Claims about each candidate against the baseline, all of them together.

use edgemaxx_contract::estimate::Claim;

use super::ranks::Ranks;
use super::settings::{Settings, SettingsError};
use crate::estimators::multiplicity::{holm, simultaneous_level};
use crate::estimators::{Method, Summary, autocorrelation, bootstrap, student, wilcoxon};
use crate::random::Seed;
use crate::samples::{CandidateSamples, SampleTable};
use crate::sequential::Looks;

/// Everything inferred from a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// One for each candidate of the table, in its order.
    pub candidates: Vec<CandidateInference>,
    /// What the reader should know before trusting any number.
    pub warnings: Vec<String>,
}

/// What is inferred about one candidate; all on the scale of log ratios (negative is faster).
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateInference {
    /// Mean log ratio with the interval of this candidate alone; `None` without pairs.
    pub log_ratio: Option<Summary>,
    /// The same with intervals that hold for all candidates together (Bonferroni). Holm's claims are sharper: where one is
    /// made and the interval holds 0, it ends there.
    pub simultaneous: Option<Summary>,
    /// The same as `log_ratio` without throttled pairs; `None` where none was throttled, or fewer
    /// than two sessions remain, and then nothing is claimed.
    pub unthrottled: Option<Summary>,
    /// What may be said, with the family-wise error in hand.
    pub claim: Claim,
    /// Two-sided p-value of "as fast as the baseline"; agrees with `log_ratio`'s interval.
    pub p_value: Option<f64>,
    /// The same after Holm's adjustment over all candidates.
    pub p_adjusted: Option<f64>,
    /// Ranks that cannot be excluded, best and worst.
    pub rank: Option<(u32, u32)>,
    /// Tier of ties by speed, 1 the fastest.
    pub tier: Option<u32>,
    /// Probability of being the fastest.
    pub p_best: Option<f64>,
}

/// Infers everything about speed that a table supports.
///
/// # Errors
/// Settings out of range.
pub fn infer(table: &SampleTable, settings: &Settings) -> Result<Inference, SettingsError> {
    settings.check()?;
    let seed = Seed::of(table.digest.as_bytes());
    let engine = Engine::new(settings, seed);
    let own = engine.summaries(&table.candidates, settings.level);
    let family = table.candidates.iter().filter(|candidate| !candidate.sessions.is_empty()).count();
    let together = engine.summaries(&table.candidates, simultaneous_level(settings.level, family));
    let verdicts = verdicts(&table.candidates, &own, settings.level);
    let calm = table.any_throttled().then(|| {
        let calm = table.unthrottled();
        let summaries = engine.summaries(&calm.candidates, settings.level);
        let verdicts = self::verdicts(&calm.candidates, &summaries, settings.level);
        (calm, summaries, verdicts)
    });
    let ranks = RanksOfMeasured::of(table, settings, seed);
    let candidates = (0..table.candidates.len()).map(|index| {
        let mut claim = verdicts[index].claim;
        let mut unthrottled = None;
        if let Some((calm, summaries, verdicts)) = &calm {
            let left = &calm.candidates[index];
            let some_gone = left.pairs() < table.candidates[index].pairs();
            if some_gone {
                // Where too few are left to ask again, nothing speaks but the throttled ones.
                let enough = left.sessions.len() >= 2;
                unthrottled = summaries[index].filter(|_| enough);
                let again = if enough { verdicts[index].claim } else { Claim::Tie };
                if again != claim {
                    claim = Claim::Ambiguous;
                }
            }
        }
        let (rank, tier, p_best) = ranks.of_candidate(index);
        CandidateInference {
            log_ratio: own[index],
            simultaneous: together[index].map(|summary| beside(claim, summary)),
            unthrottled,
            claim,
            p_value: own[index].and_then(|summary| summary.p_value),
            p_adjusted: verdicts[index].p_adjusted,
            rank,
            tier,
            p_best,
        }
    });
    Ok(Inference { candidates: candidates.collect(), warnings: warnings(table, settings) })
}

/// An interval that does not gainsay the claim beside it.
fn beside(claim: Claim, summary: Summary) -> Summary {
    match claim {
        Claim::Faster => Summary { upper: summary.upper.map(|upper| upper.min(0.0)), ..summary },
        Claim::Slower => Summary { lower: summary.lower.map(|lower| lower.max(0.0)), ..summary },
        Claim::Tie | Claim::Ambiguous => summary,
    }
}

/// Intervals by the method that was asked for.
struct Engine {
    method: Option<Method>,
    resamples: usize,
    looks: Option<Looks>,
    seed: Seed,
}

impl Engine {
    fn new(settings: &Settings, seed: Seed) -> Self {
        let looks = settings.looks.map(|(first, last)| Looks::new(first, last));
        Self { method: settings.method, resamples: settings.resamples, looks, seed }
    }

    /// One summary for each candidate with pairs.
    fn summaries(&self, candidates: &[CandidateSamples], level: f64) -> Vec<Option<Summary>> {
        let means: Vec<Vec<f64>> = candidates.iter().map(|c| c.series().means).collect();
        let slices: Vec<&[f64]> = means.iter().map(Vec::as_slice).collect();
        let method = self.method.unwrap_or(Method::Student);
        let by_sessions: Vec<Summary> = match method {
            Method::Bca | Method::Percentile => {
                bootstrap::intervals(&slices, method, level, self.resamples, self.seed)
            }
            Method::HodgesLehmann => slices.iter().map(|s| wilcoxon::interval(s, level)).collect(),
            Method::Student | Method::Autocorrelation => match &self.looks {
                None => slices.iter().map(|s| student::interval(s, level)).collect(),
                Some(looks) => spent(looks, &slices, level),
            },
        };
        candidates
            .iter()
            .zip(by_sessions)
            .map(|(candidate, summary)| match candidate.sessions.len() {
                0 => None,
                1 => {
                    let ratios = candidate.log_ratios();
                    Some(rounded(autocorrelation::interval(&ratios, level), &ratios, candidate.blur))
                }
                _ => Some(rounded(summary, &candidate.series().means, candidate.blur)),
            })
            .collect()
    }
}

/// What a summary of `values` still says where rounding may have moved all of them by `blur`, and hidden as much of their
/// spread; nothing where they have none.
///
/// Each true value lies within `blur` of what was read. Then the true mean lies within `blur` of the one read, and the true
/// deviation is at most the one read plus blur·√(n/(n − 1)), by Minkowski's inequality; both at once is more than can be.
fn rounded(summary: Summary, values: &[f64], blur: f64) -> Summary {
    let Summary { point, level, n, method, .. } = summary;
    if !student::varies(values) || blur.is_infinite() {
        return Summary::bare(point, level, n, method);
    }
    let (Some((mean, error)), true) = (student::mean_and_error(values), blur > 0.0) else { return summary };
    let freedom = n as f64 - 1.0;
    let hidden = blur / freedom.sqrt();
    let reach = blur + student::critical(1.0 - level, freedom) * hidden;
    let p_value = student::p_two_sided((mean.abs() - blur).max(0.0) / (error + hidden), freedom);
    Summary {
        lower: summary.lower.map(|lower| lower - reach),
        upper: summary.upper.map(|upper| upper + reach),
        p_value: summary.p_value.map(|p| p.max(p_value)),
        ..summary
    }
}

/// t intervals whose error is spent over looks. Before the first look nothing was ended for what it
/// showed: who has fewer sessions was ended by the clock or by a failure, and spends all of it now.
fn spent(looks: &Looks, means: &[&[f64]], level: f64) -> Vec<Summary> {
    let boundary = looks.boundary(1.0 - level);
    means
        .iter()
        .map(|means| {
            if means.len() < looks.first() {
                return student::interval(means, level);
            }
            let summary = boundary.interval(means, level, looks.first());
            let p_value = summary.p_value.map(|p| looks.p_value(p, means.len()));
            Summary { p_value, ..summary }
        })
        .collect()
}

struct Verdict {
    claim: Claim,
    p_adjusted: Option<f64>,
}

/// Holm over all candidates with a p-value. A single session claims nothing: what other
/// processes would have shown is unknown.
fn verdicts(candidates: &[CandidateSamples], summaries: &[Option<Summary>], level: f64) -> Vec<Verdict> {
    let p = |index: usize| summaries[index].and_then(|summary| summary.p_value);
    let tested: Vec<usize> = (0..summaries.len()).filter(|&index| p(index).is_some()).collect();
    let adjusted = holm(&tested.iter().filter_map(|&index| p(index)).collect::<Vec<_>>());
    let mut verdicts: Vec<Verdict> =
        summaries.iter().map(|_| Verdict { claim: Claim::Tie, p_adjusted: None }).collect();
    for (&index, adjusted) in tested.iter().zip(adjusted) {
        let proven = adjusted <= 1.0 - level && candidates[index].sessions.len() >= 2;
        let faster = summaries[index].is_some_and(|summary| summary.point < 0.0);
        verdicts[index] = Verdict {
            claim: match (proven, faster) {
                (false, _) => Claim::Tie,
                (true, true) => Claim::Faster,
                (true, false) => Claim::Slower,
            },
            p_adjusted: Some(adjusted),
        };
    }
    verdicts
}

/// Ranks among the candidates that have pairs.
struct RanksOfMeasured {
    ranks: Ranks,
    p_best: Vec<Option<f64>>,
    place: Vec<Option<usize>>,
}

impl RanksOfMeasured {
    fn of(table: &SampleTable, settings: &Settings, seed: Seed) -> Self {
        let mut series = Vec::new();
        let place = table.candidates.iter().map(|candidate| {
            (!candidate.sessions.is_empty()).then(|| {
                series.push(candidate.series());
                series.len() - 1
            })
        });
        let place = place.collect();
        let ranks = Ranks::of(&series, settings.level, settings.looks.map(|(_, last)| last));
        Self { p_best: ranks.p_best(&series, seed), ranks, place }
    }

    fn of_candidate(&self, index: usize) -> (Option<(u32, u32)>, Option<u32>, Option<f64>) {
        match self.place[index] {
            None => (None, None, None),
            Some(at) => (Some(self.ranks.sets[at]), Some(self.ranks.tiers[at]), self.p_best[at]),
        }
    }
}

fn warnings(table: &SampleTable, settings: &Settings) -> Vec<String> {
    let mut warnings = table.warnings.clone();
    for candidate in &table.candidates {
        let name = &candidate.name;
        if candidate.sessions.len() >= 2 && !student::varies(&candidate.series().means) {
            warnings.push(format!(
                "{name:?}: all differences are equal to the last digit: a clock that coarse tells nothing, and nothing is claimed"
            ));
        }
        match candidate.sessions.len() {
            0 => {}
            1 => {
                warnings.push(format!(
                    "{name:?} has one session: variance between processes is unseen, nothing is claimed; \
                     measure it in at least two, better five"
                ));
                if candidate.pairs() < autocorrelation::MINIMUM {
                    warnings.push(format!(
                        "{name:?} has {} pair(s) in one session: too few for an interval, which needs {}",
                        candidate.pairs(),
                        autocorrelation::MINIMUM
                    ));
                }
            }
            sessions => match settings.method {
                Some(method @ (Method::Bca | Method::Percentile)) if sessions < 20 => warnings.push(format!(
                    "{name:?}: {method} intervals of {sessions} sessions are too narrow; student holds its level"
                )),
                Some(Method::HodgesLehmann) if sessions < 6 => warnings.push(format!(
                    "{name:?}: hodges-lehmann has no 95% interval with fewer than 6 sessions"
                )),
                Some(Method::Autocorrelation) => warnings.push(format!(
                    "{name:?} has {sessions} sessions: student is used; autocorrelation is for a single session"
                )),
                _ => {}
            },
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_where_the_claim_beside_it_begins() {
        let known = Summary {
            point: -0.01,
            lower: Some(-0.03),
            upper: Some(0.01),
            p_value: Some(0.04),
            level: 0.99,
            n: 8,
            method: Method::Student,
        };
        let ends = |claim| {
            let shown = beside(claim, known);
            (shown.lower, shown.upper, shown.point)
        };
        assert_eq!(ends(Claim::Faster), (Some(-0.03), Some(0.0), -0.01));
        assert_eq!(ends(Claim::Slower), (Some(0.0), Some(0.01), -0.01));
        assert_eq!(ends(Claim::Tie), (Some(-0.03), Some(0.01), -0.01));
        let proven = Summary { upper: Some(-0.002), ..known };
        assert_eq!(beside(Claim::Faster, proven), proven, "what excludes nothing is left alone");
    }
}
