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
    let intervals = Intervals::new(settings, seed);
    let own = intervals.summaries(&table.candidates, settings.level);
    let family = table.candidates.iter().filter(|candidate| !candidate.sessions.is_empty()).count();
    let together = intervals.summaries(&table.candidates, simultaneous_level(settings.level, family));
    let verdicts = verdicts(&table.candidates, &own, settings.level);
    let calm = table.any_throttled().then(|| {
        let calm = table.unthrottled();
        let summaries = intervals.summaries(&calm.candidates, settings.level);
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
struct Intervals {
    method: Option<Method>,
    resamples: usize,
    looks: Option<Looks>,
    seed: Seed,
}

impl Intervals {
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
///
/// In a single session neighbours may resemble one another: then the mean's error is larger than that of as many independent
/// values, and what is hidden with it, by as much; and t has that error's degrees of freedom.
fn rounded(summary: Summary, values: &[f64], blur: f64) -> Summary {
    let Summary { point, level, n, method, .. } = summary;
    if !student::varies(values) || blur.is_infinite() {
        return Summary::bare(point, level, n, method);
    }
    let (Some((mean, plain)), true) = (student::mean_and_error(values), blur > 0.0) else { return summary };
    let independent = n as f64 - 1.0;
    let (error, freedom) = match method {
        Method::Autocorrelation => match autocorrelation::error_and_freedom(values) {
            Some(known) => known,
            None => return summary,
        },
        _ => (plain, independent),
    };
    let hidden = blur / independent.sqrt() * (error / plain);
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
                Some(Method::HodgesLehmann) if sessions < wilcoxon::least(settings.level) => warnings.push(format!(
                    "{name:?}: hodges-lehmann has no {}% interval with fewer than {} sessions",
                    (1e4 * settings.level).round() / 100.0,
                    wilcoxon::least(settings.level)
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
    use edgemaxx_contract::digest::Digest;

    use super::*;
    use crate::samples::{Pair, Session};

    /// A candidate whose sessions have these log ratios, pair by pair.
    fn candidate(name: &str, sessions: &[&[f64]]) -> CandidateSamples {
        let pair = |ratio: &f64| Pair { baseline_ms: 1.0, candidate_ms: ratio.exp(), throttled: false };
        let session =
            |(key, ratios): (u32, &&[f64])| Session { key, pairs: ratios.iter().map(pair).collect() };
        CandidateSamples::whole(name, (0..).zip(sessions).map(session).collect())
    }

    fn table(candidates: Vec<CandidateSamples>) -> SampleTable {
        let (baseline, digest) = ("old".to_owned(), Digest::of("a table"));
        SampleTable { baseline, candidates, warnings: vec!["first".to_owned()], digest }
    }

    /// With two degrees of freedom t has quantiles and tails that anybody can work out: the 97.5% quantile is 4.302653, and
    /// beyond ±t lies 1 − t/√(t² + 2).
    #[test]
    fn what_rounding_may_hide_widens_an_interval_and_raises_its_p_value() {
        let values = [-0.1, -0.2, -0.3];
        let plain = student::interval(&values, 0.95);
        assert_eq!(rounded(plain, &values, 0.0), plain);
        // A method of its own keeps its p-value where nothing is hidden.
        let own = Summary { p_value: Some(1e-6), method: Method::HodgesLehmann, ..plain };
        assert_eq!(rounded(own, &values, 0.0), own);
        let found = rounded(plain, &values, 0.02);
        let reach = 0.02 + 4.302_652_73 * 0.02 / 2_f64.sqrt();
        let t = (0.2 - 0.02) / (0.1 / 3_f64.sqrt() + 0.02 / 2_f64.sqrt());
        let expected =
            [plain.lower.unwrap() - reach, plain.upper.unwrap() + reach, 1.0 - t / (t * t + 2.0).sqrt()];
        for (found, expected) in [found.lower, found.upper, found.p_value].into_iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-7, "{found:?} instead of {expected}");
        }
        assert_eq!((found.point, found.n, found.level), (plain.point, 3, 0.95));
        assert_eq!(rounded(plain, &values, 0.3).p_value, Some(1.0), "less than rounding hides");
        let bare = Summary::bare(plain.point, 0.95, 3, Method::Student);
        assert_eq!(rounded(plain, &values, f64::INFINITY), bare);
        assert_eq!(rounded(plain, &[-0.2; 3], 0.0), bare);
    }

    /// Eight values that grow evenly resemble one another as much as is believed, φ = 7/8, and leave one degree of freedom,
    /// where t is Cauchy's: its 97.5% quantile is tan(0.475·π), and beyond ±t lies 1 − 2·atan(t)/π.
    #[test]
    fn what_rounding_may_hide_of_a_single_session_counts_as_much_more_as_its_values_resemble_one_another() {
        use std::f64::consts::PI;
        let values: Vec<f64> = (1..=8).map(|n| -10.0 - 0.1 * f64::from(n)).collect();
        let phi = 0.875_f64;
        let inflation = 1.0 + 2.0 * (1..8).map(|k| (1.0 - f64::from(k) / 8.0) * phi.powi(k)).sum::<f64>();
        let per_deviation = (inflation / (8.0 - inflation)).sqrt();
        // The deviation of 1 to 8 is √((8² − 1)/12).
        let error = (0.1 * 5.25_f64.sqrt() + 0.02) * per_deviation;
        let half = 0.02 + (0.475 * PI).tan() * error;
        let p_value = 1.0 - 2.0 * ((10.45 - 0.02) / error).atan() / PI;
        let at = |level| rounded(autocorrelation::interval(&values, level), &values, 0.02);
        let found = at(0.95);
        let expected = [-10.45 - half, -10.45 + half, p_value];
        for (found, expected) in [found.lower, found.upper, found.p_value].into_iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?} instead of {expected}");
        }
        // The p-value is that of the interval: at its level 0 is the end.
        assert!(at(1.0 - p_value).upper.unwrap().abs() < 1e-6);
        // Too few for an interval stay so.
        let few = autocorrelation::interval(&values[1..], 0.95);
        assert_eq!(rounded(few, &values[1..], 0.02), few);
    }

    #[test]
    fn error_is_spent_from_the_first_look_on() {
        let looks = Looks::new(3, 4);
        let means = [-0.1, -0.2, -0.25, -0.15];
        let found = spent(&looks, &[&means[..2], &means[..3], &means], 0.95);
        assert_eq!(found[0], student::interval(&means[..2], 0.95));
        let boundary = looks.boundary(1.0 - 0.95);
        for (found, n) in found[1..].iter().zip([3, 4]) {
            let at = boundary.interval(&means[..n], 0.95, 3);
            let p_value = Some(looks.p_value(at.p_value.unwrap(), n));
            assert_eq!(*found, Summary { p_value, ..at }, "{n}");
            assert!(p_value > at.p_value, "{n}");
        }
    }

    #[test]
    fn a_claim_takes_two_sessions_and_an_error_that_is_left() {
        let of = |sessions: usize, point: f64, p_value: Option<f64>| {
            let candidates = [candidate("c", &vec![&[0.0][..]; sessions])];
            let summary = Summary { p_value, ..Summary::bare(point, 0.75, sessions, Method::Student) };
            let found = verdicts(&candidates, &[Some(summary)], 0.75).remove(0);
            (found.claim, found.p_adjusted)
        };
        for (sessions, point, p, claim) in [
            (2, -0.1, Some(0.25), Claim::Faster),
            (2, 0.1, Some(0.25), Claim::Slower),
            (3, 0.0, Some(0.25), Claim::Slower),
            (2, -0.1, Some(0.251), Claim::Tie),
            (1, -0.1, Some(0.01), Claim::Tie),
            (2, -0.1, None, Claim::Tie),
        ] {
            assert_eq!(of(sessions, point, p), (claim, p), "{sessions} {point} {p:?}");
        }
        // Holm: the smaller of two counts twice, and who has no p-value does not count.
        let candidates = ["a", "b", "c"].map(|name| candidate(name, &[&[0.0], &[0.0]]));
        let known = |p| Some(Summary { p_value: Some(p), ..Summary::bare(-0.1, 0.75, 2, Method::Student) });
        let found = verdicts(&candidates, &[known(0.2), None, known(0.1)], 0.75);
        let found: Vec<_> = found.into_iter().map(|of| (of.claim, of.p_adjusted)).collect();
        let expected = [(Claim::Faster, Some(0.2)), (Claim::Tie, None), (Claim::Faster, Some(0.2))];
        assert_eq!(found, expected);
    }

    /// Of four candidates one has no pairs, and one a single session.
    #[test]
    fn everything_is_inferred_of_those_who_were_measured() {
        let own =
            |at: f64| [[at - 0.01, at + 0.01], [at, at + 0.01], [at - 0.02, at + 0.02], [at, at + 0.03]];
        let [fast, slow] = [own(-0.5), own(0.5)];
        let [fast, slow] = [&fast, &slow].map(|of| of.iter().map(|one| &one[..]).collect::<Vec<_>>());
        let alone: Vec<f64> = (0..40).map(|n| -0.2 + 0.001 * f64::from(n * 7 % 11)).collect();
        let mut table = table(vec![
            candidate("slow", &slow),
            candidate("none", &[]),
            candidate("fast", &fast),
            candidate("alone", &[&alone]),
        ]);
        let settings = Settings::default();
        let found = infer(&table, &settings).unwrap().candidates;
        let told: Vec<_> = found.iter().map(|of| (of.claim, of.rank, of.tier, of.p_best.is_some())).collect();
        let expected = [
            (Claim::Slower, Some((2, 3)), Some(1), false),
            (Claim::Tie, None, None, false),
            (Claim::Faster, Some((1, 2)), Some(1), false),
            (Claim::Tie, Some((1, 3)), Some(1), false),
        ];
        assert_eq!(told, expected);
        let means = |of: &[&[f64]]| -> Vec<f64> { of.iter().map(|one| student::mean(one)).collect() };
        let close = |found: Option<Summary>, expected: Summary| {
            let ends = |of: Summary| [of.point, of.lower.unwrap(), of.upper.unwrap(), of.level];
            let pairs = ends(found.unwrap()).into_iter().zip(ends(expected));
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-9)
        };
        let level = simultaneous_level(settings.level, 3);
        for (at, of) in [(0, &slow), (2, &fast)] {
            assert!(close(found[at].log_ratio, student::interval(&means(of), settings.level)), "{at}");
            assert!(close(found[at].simultaneous, student::interval(&means(of), level)), "{at}");
        }
        assert!(close(found[3].log_ratio, autocorrelation::interval(&alone, settings.level)));
        assert!(found[1].log_ratio.is_none() && found[1].simultaneous.is_none());
        // Without the one session everybody has a chance, and both together all of it.
        table.candidates.pop();
        let found = infer(&table, &settings).unwrap().candidates;
        let told: Vec<_> = found.iter().map(|of| (of.rank, of.tier, of.p_best)).collect();
        let expected =
            [(Some((2, 2)), Some(2), Some(0.0)), (None, None, None), (Some((1, 1)), Some(1), Some(1.0))];
        assert_eq!(told, expected);
    }

    /// Throttled pairs: of `a` none, of `b` one of many, of `c` all but a session, of `d` those that made it fast.
    #[test]
    fn what_throttled_pairs_decide_is_ambiguous() {
        let fast: [&[f64]; 4] = [&[-0.5, -0.49], &[-0.5, -0.51], &[-0.48, -0.5], &[-0.51, -0.5]];
        let mixed: [&[f64]; 4] = [&[-0.9, 0.1], &[-0.91, -0.1], &[-0.9, 0.05], &[-0.92, -0.06]];
        let mut table = table(vec![
            candidate("a", &fast),
            candidate("b", &fast),
            candidate("c", &fast),
            candidate("d", &mixed),
            candidate("e", &fast[..3]),
        ]);
        let mut throttle = |at: usize, session: usize, pair: usize| {
            table.candidates[at].sessions[session].pairs[pair].throttled = true;
        };
        throttle(1, 0, 0);
        (1..4).for_each(|session| (0..2).for_each(|pair| throttle(2, session, pair)));
        (0..4).for_each(|session| throttle(3, session, 0));
        // Two sessions are enough.
        (0..2).for_each(|pair| throttle(4, 0, pair));
        let found = infer(&table, &Settings::default()).unwrap().candidates;
        let told: Vec<_> = found.iter().map(|of| (of.claim, of.unthrottled.map(|of| of.n))).collect();
        let expected = [
            (Claim::Faster, None),
            (Claim::Faster, Some(4)),
            (Claim::Ambiguous, None),
            (Claim::Ambiguous, Some(4)),
            (Claim::Faster, Some(2)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_reader_is_warned_of_what_the_numbers_cannot_tell() {
        let varied: Vec<Vec<f64>> = (0..20).map(|n| vec![f64::from(n * 3 % 7) / 100.0]).collect();
        let varied: Vec<&[f64]> = varied.iter().map(Vec::as_slice).collect();
        let said = |sessions: &[&[f64]], method: Option<Method>| {
            let settings = Settings { method, ..Settings::default() };
            let mut found = warnings(&table(vec![candidate("c", sessions)]), &settings);
            assert_eq!(found.remove(0), "first");
            found.iter().map(|warning| warning.split(": ").last().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (bca, hodges) = (Some(Method::Bca), Some(Method::HodgesLehmann));
        let one = "variance between processes is unseen, nothing is claimed; measure it in at least two, better five";
        let long: Vec<f64> = (0..autocorrelation::MINIMUM).map(|n| (n * 3 % 7) as f64).collect();
        let few = format!("too few for an interval, which needs {}", autocorrelation::MINIMUM);
        let says = |found: Vec<String>, expected: &[&str]| {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            let pairs = found.iter().zip(expected);
            pairs.for_each(|(found, expected)| assert!(found.contains(expected), "{found}"));
        };
        says(said(&varied, None), &[]);
        says(said(&[], None), &[]);
        says(said(&[&long], None), &[one]);
        says(said(&[&long[1..]], None), &[one, &few]);
        says(said(&[&[0.1], &[0.1]], None), &["a clock that coarse tells nothing, and nothing is claimed"]);
        says(said(&[&[0.1], &[0.2]], None), &[]);
        says(said(&varied[..19], bca), &["bca intervals of 19 sessions are too narrow"]);
        says(said(&varied, bca), &[]);
        says(said(&varied[..5], hodges), &["hodges-lehmann has no 95% interval with fewer than 6 sessions"]);
        says(said(&varied[..6], hodges), &[]);
        says(said(&varied, Some(Method::Autocorrelation)), &["autocorrelation is for a single session"]);
    }

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
