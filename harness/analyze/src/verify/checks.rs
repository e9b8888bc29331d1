//! The promises, one by one.

use rayon::prelude::*;

use super::generators::{Generator, Residuals, means};
use super::{Row, one_in};
use crate::estimators::multiplicity::{holm, simultaneous_level};
use crate::estimators::{Method, Summary, autocorrelation, bootstrap, one_sided, student, wilcoxon};
use crate::inference::pairwise::Series;
use crate::inference::ranks::Ranks;
use crate::random::{Seed, Stream};
use crate::samples::SampleTable;
use crate::sequential::{FIRST_LOOK, Looks};

const LEVEL: f64 = 0.95;
/// Coverage of a nominal 95% interval.
const COVERAGE: (f64, f64) = (0.935, 0.97);
/// Rates of false claims of every kind.
const FALSE_CLAIMS: f64 = 0.055;
/// Candidates of the family-wise checks.
const MANY: usize = 20;
/// True log ratio of the coverage checks: 10% faster.
const EFFECT: f64 = -0.105_360_515_657_826_3;

/// The share of repetitions in which something happens; repetition n has stream n.
fn rate(repetitions: usize, seed: Seed, happens: &(dyn Fn(&mut Stream) -> bool + Sync)) -> f64 {
    let count: usize = (0..repetitions)
        .into_par_iter()
        .map(|repetition| usize::from(happens(&mut seed.stream(repetition as u64))))
        .sum();
    count as f64 / repetitions as f64
}

/// A row in the making.
pub(super) struct Plan<'a> {
    pub check: &'static str,
    pub method: &'a str,
    pub generator: &'a str,
    pub sessions: usize,
    pub pairs: usize,
    pub repetitions: usize,
    pub seed: Seed,
}

impl Plan<'_> {
    pub(super) fn run(
        &self,
        at_least: Option<f64>,
        at_most: Option<f64>,
        happens: impl Fn(&mut Stream) -> bool + Sync,
    ) -> Row {
        let purpose =
            format!("{} {} {} {} {}", self.check, self.method, self.generator, self.sessions, self.pairs);
        let rate = rate(self.repetitions, self.seed.purpose(&purpose), &happens);
        Row { at_least, at_most, ..self.row(rate) }.judged()
    }

    /// A mean that was found, and must not be above a bound; its own error of simulation is small.
    pub(super) fn mean(&self, rate: f64, at_most: f64) -> Row {
        Row { at_most: Some(at_most), passed: rate <= at_most, ..self.row(rate) }
    }

    /// What was found, without bounds.
    fn row(&self, rate: f64) -> Row {
        Row {
            check: self.check,
            method: self.method.to_owned(),
            generator: self.generator.to_owned(),
            sessions: self.sessions,
            pairs: self.pairs,
            repetitions: self.repetitions,
            rate,
            at_least: None,
            at_most: None,
            tolerance: 0.0,
            passed: true,
        }
    }
}

const STUDENT: &str = "student";

/// All rows that need no run.
pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let mut rows = Vec::new();
    for generator in Generator::ALL {
        for sessions in [5, 8, 20] {
            for pairs in [4, 40] {
                let source = |stream: &mut Stream| means(&generator.draw(sessions, pairs, stream));
                rows.extend(single(generator.name(), sessions, pairs, repetitions, seed, &source));
            }
        }
    }
    let looks = Looks::new(FIRST_LOOK, 20);
    let boundary = looks.boundary(1.0 - LEVEL);
    let tenth = one_in(10, repetitions);
    for generator in Generator::ALL {
        let plan = |check, method, sessions, pairs, repetitions| Plan {
            check,
            method,
            generator: generator.name(),
            sessions,
            pairs,
            repetitions,
            seed,
        };
        rows.push(plan("any claim among 20", "student, Holm", 5, 10, one_in(4, repetitions)).run(
            None,
            Some(FALSE_CLAIMS),
            |stream| {
                let p = |_| student::interval(&means(&generator.draw(5, 10, stream)), LEVEL).p_value;
                let p_values: Vec<f64> = (0..MANY).filter_map(p).collect();
                holm(&p_values).iter().any(|p| *p <= 1.0 - LEVEL)
            },
        ));
        rows.push(plan("all of 20 covered", "student, Bonferroni", 5, 10, one_in(4, repetitions)).run(
            Some(1.0 - FALSE_CLAIMS),
            None,
            |stream| {
                let level = simultaneous_level(LEVEL, MANY);
                (0..MANY)
                    .all(|_| student::interval(&means(&generator.draw(5, 10, stream)), level).covers(0.0))
            },
        ));
        // The half-width asked for is what half the sessions would give: stops early and late.
        let target = typical_half_width(generator, seed);
        rows.push(
            plan("miscoverage at the stop, until narrow", "student, spent", 20, 10, one_in(2, repetitions))
                .run(None, Some(FALSE_CLAIMS), |stream| {
                    let drawn = means(&generator.draw(20, 10, stream));
                    let stop = (FIRST_LOOK..=20).find(|&n| {
                        n == 20
                            || boundary
                                .interval(&drawn[..n], LEVEL, FIRST_LOOK)
                                .half_width()
                                .is_some_and(|h| h <= target)
                    });
                    stop.is_some_and(|n| !boundary.interval(&drawn[..n], LEVEL, FIRST_LOOK).covers(0.0))
                }),
        );
        rows.push(plan("miscoverage at any look", "student, spent", 20, 10, one_in(2, repetitions)).run(
            None,
            Some(FALSE_CLAIMS),
            |stream| {
                let drawn = means(&generator.draw(20, 10, stream));
                (FIRST_LOOK..=20).any(|n| !boundary.interval(&drawn[..n], LEVEL, FIRST_LOOK).covers(0.0))
            },
        ));
    }
    rows.push(power(repetitions, seed));
    rows.extend(ranks(tenth, seed));
    rows.extend(bounds(repetitions, seed));
    rows.extend(limits(tenth, seed));
    rows
}

/// Coverage and A/A claims of the default method.
fn single(
    generator: &str,
    sessions: usize,
    pairs: usize,
    repetitions: usize,
    seed: Seed,
    source: &(impl Fn(&mut Stream) -> Vec<f64> + Sync),
) -> [Row; 2] {
    let plan = |check| Plan { check, method: STUDENT, generator, sessions, pairs, repetitions, seed };
    [
        plan("coverage").run(Some(COVERAGE.0), Some(COVERAGE.1), |stream| {
            let shifted: Vec<f64> = source(stream).iter().map(|mean| mean + EFFECT).collect();
            student::interval(&shifted, LEVEL).covers(EFFECT)
        }),
        plan("A/A claims").run(None, Some(FALSE_CLAIMS), |stream| {
            student::interval(&source(stream), LEVEL).p_value.is_some_and(|p| p <= 1.0 - LEVEL)
        }),
    ]
}

/// The half-width of a spent interval of ten typical sessions.
fn typical_half_width(generator: Generator, seed: Seed) -> f64 {
    let drawn = means(&generator.draw(1000, 10, &mut seed.purpose("typical").stream(0)));
    let spread = student::mean_and_error(&drawn).map_or(0.0, |(_, error)| error * 1000_f64.sqrt());
    spread * student::critical(0.01, 9.0) / 10_f64.sqrt()
}

/// A true change of 1%, process SD 0.3%, iteration SD 1% on either side, 8 sessions of 20 pairs.
fn power(repetitions: usize, seed: Seed) -> Row {
    let plan = Plan {
        check: "power for 1%",
        method: STUDENT,
        generator: "process SD .3%, iteration SD 1%",
        sessions: 8,
        pairs: 20,
        repetitions,
        seed,
    };
    plan.run(Some(0.95), None, |stream| {
        let drawn: Vec<f64> = (0..8).map(|_| changed(stream)).collect();
        proven_faster(student::interval(&drawn, LEVEL).upper)
    })
}

/// The mean of one session of that change.
fn changed(stream: &mut Stream) -> f64 {
    let processes = 0.003 * (stream.normal() - stream.normal());
    let pairs: f64 = (0..20).map(|_| 0.01 * (stream.normal() - stream.normal())).sum();
    -0.01 + processes + pairs / 20.0
}

fn proven_faster(upper: Option<f64>) -> bool {
    upper.is_some_and(|upper| upper < 0.0)
}

/// Rank sets and tiers of two groups of equals, 1% apart.
fn ranks(repetitions: usize, seed: Seed) -> Vec<Row> {
    let mut rows = Vec::new();
    for (generator, together) in [("own sessions", false), ("shared sessions", true)] {
        let plan = |check| Plan {
            check,
            method: "pairwise t, Holm",
            generator,
            sessions: 5,
            pairs: 1,
            repetitions,
            seed,
        };
        rows.push(plan("rank sets hold the true ranks").run(Some(0.945), None, |stream| {
            true_ranks_held(&Ranks::of(&two_groups(together, stream), LEVEL, None).sets)
        }));
        rows.push(plan("equals share a tier").run(Some(0.945), None, |stream| {
            equals_together(&Ranks::of(&two_groups(together, stream), LEVEL, None).tiers)
        }));
    }
    rows
}

/// Three candidates and three that are 1% slower, in sessions of their own or in shared ones.
fn two_groups(together: bool, stream: &mut Stream) -> Vec<Series> {
    let common: Vec<f64> = (0..5).map(|_| 0.005 * stream.normal()).collect();
    (0..6u32)
        .map(|candidate| {
            let shift = if candidate < 3 { -0.01 } else { 0.0 };
            let start = if together { 0 } else { 5 * candidate };
            let mean = |base: &f64| shift + 0.003 * stream.normal() + if together { *base } else { 0.0 };
            Series { keys: (start..start + 5).collect(), means: common.iter().map(mean).collect(), blur: 0.0 }
        })
        .collect()
}

/// Whether the three faster may have the first three ranks, each of them, and the others the last three.
fn true_ranks_held(sets: &[(u32, u32)]) -> bool {
    sets[..3].iter().all(|s| s.0 == 1 && s.1 >= 3) && sets[3..].iter().all(|s| s.0 <= 4 && s.1 == 6)
}

fn equals_together(tiers: &[u32]) -> bool {
    tiers[..3].iter().all(|t| *t == tiers[0]) && tiers[3..].iter().all(|t| *t == tiers[3])
}

/// One-sided bounds of quality, where the true value lies exactly on the gate.
fn bounds(repetitions: usize, seed: Seed) -> Vec<Row> {
    let plan = |check, method, generator, pairs| Plan {
        check,
        method,
        generator,
        sessions: 1,
        pairs,
        repetitions,
        seed,
    };
    let passes =
        |bound: fn(&[f64], f64) -> Option<f64>, n: usize, one: fn(&mut Stream) -> f64, truth: f64| {
            move |stream: &mut Stream| beyond(bound(&several(n, one, stream), LEVEL), truth)
        };
    let corrected = "one-sided t, skewness-corrected";
    let alike = "1 − similarity exponential";
    vec![
        plan("false passes of a gate", corrected, "similarity N(.85, .05)", 40).run(
            None,
            Some(FALSE_CLAIMS),
            passes(one_sided::lower_bound, 40, normal, 0.85),
        ),
        plan("false passes of a gate", corrected, alike, 160).run(
            None,
            Some(0.06),
            passes(one_sided::lower_bound, 160, skewed, 0.9),
        ),
        plan("false passes of a gate", "one-sided t", alike, 160).run(
            None,
            None,
            passes(student::lower_bound, 160, skewed, 0.9),
        ),
        plan("false passes of a gate", "5% quantile", alike, 160).run(None, Some(FALSE_CLAIMS), |stream| {
            // The true 5% quantile of 1 − Exp(mean .1)
            let truth = 1.0 + 0.1 * 0.05_f64.ln();
            let sorted = crate::estimators::quantiles::Sorted::new(several(160, skewed, stream));
            beyond(sorted.lower_bound(0.05, LEVEL), truth)
        }),
    ]
}

/// A similarity that is normal around .85.
fn normal(stream: &mut Stream) -> f64 {
    0.85 + 0.05 * stream.normal()
}

/// One whose distance from 1 is exponential with mean .1.
fn skewed(stream: &mut Stream) -> f64 {
    1.0 + 0.1 * stream.uniform().ln()
}

fn several(n: usize, one: fn(&mut Stream) -> f64, stream: &mut Stream) -> Vec<f64> {
    (0..n).map(|_| one(stream)).collect()
}

/// Whether a lower bound is above what it bounds.
fn beyond(bound: Option<f64>, truth: f64) -> bool {
    bound.is_some_and(|bound| bound > truth)
}

/// What a single session can give, and rows without bounds: where methods fail, and how badly.
fn limits(repetitions: usize, seed: Seed) -> Vec<Row> {
    let mut rows = Vec::new();
    let plan = |check, method, generator, sessions, pairs| Plan {
        check,
        method,
        generator,
        sessions,
        pairs,
        repetitions,
        seed,
    };
    let covers = |generator: Generator, sessions: usize, pairs: usize, interval: fn(&[f64]) -> Summary| {
        move |stream: &mut Stream| interval(&generator.draw(sessions, pairs, stream).concat()).covers(0.0)
    };
    let robust = |d: &[f64]| autocorrelation::interval(d, LEVEL);
    let plain = |d: &[f64]| student::interval(d, LEVEL);
    let ar = Generator::Autocorrelated;
    rows.push(plan("coverage", "autocorrelation", ar.name(), 1, 35).run(
        Some(0.93),
        Some(0.97),
        covers(ar, 1, 35, robust),
    ));
    rows.push(plan("coverage", STUDENT, "outliers on one side only", 5, 4).run(None, None, |stream| {
        let drawn: Vec<f64> = (0..5).map(|_| at_times_late(stream)).collect();
        student::interval(&drawn, LEVEL).covers(0.0)
    }));
    rows.push(plan("coverage", "t on pairs", ar.name(), 1, 35).run(None, None, covers(ar, 1, 35, plain)));
    let process = Generator::ProcessVariance;
    rows.push(plan("coverage", "t on pairs", process.name(), 5, 35).run(
        None,
        None,
        covers(process, 5, 35, plain),
    ));
    rows.push(plan("coverage", "autocorrelation", process.name(), 1, 35).run(
        None,
        None,
        covers(process, 1, 35, robust),
    ));
    for sessions in [5, 8, 20] {
        for method in [Method::Bca, Method::Percentile, Method::HodgesLehmann] {
            let bound = (method == Method::HodgesLehmann).then_some(COVERAGE.0);
            let row = plan("coverage", method.name(), process.name(), sessions, 10);
            rows.push(row.run(bound, None, |stream| {
                let drawn = means(&process.draw(sessions, 10, stream));
                let seed = Seed::of(stream.uniform().to_le_bytes());
                match method {
                    Method::HodgesLehmann => wilcoxon::interval(&drawn, LEVEL).covers(0.0),
                    _ => bootstrap::intervals(&[&drawn], method, LEVEL, 1000, seed)[0].covers(0.0),
                }
            }));
        }
    }
    rows
}

/// The mean of a session of four pairs, one in twenty of them late on one side.
fn at_times_late(stream: &mut Stream) -> f64 {
    let one = |_| {
        let late = if stream.chance(0.05) { 0.08 } else { 0.0 };
        0.01 * (stream.normal() - stream.normal()) + late - 0.05 * 0.08
    };
    (0..4).map(one).sum::<f64>() / 4.0
}

/// The default method on a run's own residuals, at the run's size.
pub(super) fn of_run(table: &SampleTable, residuals: &Residuals, repetitions: usize, seed: Seed) -> Vec<Row> {
    let most = |count: fn(&crate::samples::CandidateSamples) -> usize| {
        table.candidates.iter().map(count).max().unwrap_or(0)
    };
    let sessions = most(|candidate| candidate.sessions.len());
    let pairs = most(|candidate| candidate.sessions.iter().map(|s| s.pairs.len()).max().unwrap_or(0));
    let source = |stream: &mut Stream| means(&residuals.draw(sessions, pairs, stream));
    single("residuals of the run", sessions, pairs, repetitions, seed, &source).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{CandidateSamples, Pair, Session};
    use edgemaxx_contract::digest::Digest;

    fn plan(repetitions: usize) -> Plan<'static> {
        Plan {
            check: "coverage",
            method: "student",
            generator: "none",
            sessions: 5,
            pairs: 4,
            repetitions,
            seed: seed(),
        }
    }

    fn seed() -> Seed {
        Seed::of("checks")
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-12
    }

    #[test]
    fn a_rate_is_the_part_of_the_streams_in_which_it_happens() {
        let second = seed().stream(1).uniform();
        assert_eq!(rate(8, seed(), &|stream| stream.uniform() == second), 0.125);
        assert_eq!(rate(8, seed(), &|stream| stream.uniform() != second), 0.875);
    }

    #[test]
    fn a_row_says_what_was_planned_what_was_found_and_whether_that_is_within_its_bounds() {
        let row = Row {
            check: "coverage",
            method: "student".to_owned(),
            generator: "none".to_owned(),
            sessions: 5,
            pairs: 4,
            repetitions: 100,
            rate: 1.0,
            at_least: Some(0.5),
            at_most: Some(0.8),
            tolerance: 0.1,
            passed: false,
        };
        assert_eq!(plan(100).run(Some(0.5), Some(0.8), |_| true), row);
        let never = Row { rate: 0.0, ..row.clone() };
        assert_eq!(plan(100).run(Some(0.5), Some(0.8), |_| false), never);
        let unbounded = Row { at_least: None, at_most: None, tolerance: 0.0, passed: true, ..row };
        assert_eq!(plan(100).run(None, None, |_| true), unbounded);
        for (rate, passed) in [(0.2, true), (0.25, true), (0.3, false)] {
            let mean = Row { rate, at_most: Some(0.25), passed, ..unbounded.clone() };
            assert_eq!(plan(100).mean(rate, 0.25), mean);
        }
    }

    /// What lies around zero is covered once it is shifted, and what does not is claimed.
    #[test]
    fn sessions_around_zero_are_covered_and_others_are_claimed() {
        let rates = |sessions: [f64; 3]| {
            single("none", 3, 1, 4, seed(), &|_: &mut Stream| sessions.to_vec()).map(|row| row.rate)
        };
        assert_eq!(rates([-0.01, 0.0, 0.01]), [1.0, 0.0]);
        assert_eq!(rates([0.99, 1.0, 1.01]), [0.0, 1.0]);
        assert!(close(EFFECT.exp(), 0.9), "10% faster");
    }

    /// t = 3.2498 at 1% and nine degrees of freedom, √2·2%/√10 a session; process: √(2·(.5%² + .5%²/10)).
    #[test]
    fn a_typical_half_width_is_that_of_ten_sessions() {
        for (generator, session) in
            [(Generator::LogNormal, 0.0089443), (Generator::ProcessVariance, 0.0074162)]
        {
            let found = typical_half_width(generator, seed());
            let expected = 3.2498 * session / 10_f64.sqrt();
            assert!((found / expected - 1.0).abs() < 0.07, "{generator:?}: {found} instead of {expected}");
        }
    }

    #[test]
    fn a_changed_session_is_one_percent_faster_but_for_its_processes_and_its_pairs() {
        let mut stream = seed().stream(0);
        let mut same = stream.clone();
        let mut sides = || same.normal() - same.normal();
        for _ in 0..3 {
            let processes = sides();
            let pairs: Vec<f64> = (0..20).map(|_| sides()).collect();
            let expected = 0.003 * processes + 0.01 * student::mean(&pairs) - 0.01;
            assert!(close(changed(&mut stream), expected));
        }
        assert_eq!([None, Some(-0.1), Some(0.0), Some(0.1)].map(proven_faster), [false, true, false, false]);
        let Row { check, sessions, pairs, rate, at_least, at_most, .. } = power(40, seed());
        assert_eq!((check, sessions, pairs, at_least, at_most), ("power for 1%", 8, 20, Some(0.95), None));
        assert!(rate > 0.85, "{rate}");
    }

    #[test]
    fn two_groups_are_three_faster_and_three_slower() {
        for together in [false, true] {
            let mut stream = seed().stream(0);
            let mut same = stream.clone();
            let common: Vec<f64> = (0..5).map(|_| same.normal()).collect();
            for (candidate, series) in two_groups(together, &mut stream).iter().enumerate() {
                let first = if together { 0 } else { 5 * candidate as u32 };
                assert_eq!(series.keys, (first..).take(5).collect::<Vec<_>>());
                assert_eq!((series.means.len(), series.blur), (5, 0.0));
                for (mean, common) in series.means.iter().zip(&common) {
                    let shared = if together { 0.005 * common } else { 0.0 };
                    let faster = [0.01, 0.01, 0.01, 0.0, 0.0, 0.0][candidate];
                    assert!(close(*mean, 0.003 * same.normal() + shared - faster), "{candidate}");
                }
            }
        }
    }

    #[test]
    fn true_ranks_are_held_by_sets_that_let_each_have_any_of_its_group() {
        let held = [(1, 3), (1, 3), (1, 6), (4, 6), (4, 6), (1, 6)];
        assert!(true_ranks_held(&held));
        let with = |candidate: usize, set: (u32, u32)| {
            let mut sets = held;
            sets[candidate] = set;
            true_ranks_held(&sets)
        };
        assert!(with(0, (1, 4)) && with(3, (3, 6)));
        for (candidate, set) in [(0, (1, 2)), (1, (2, 3)), (2, (2, 2)), (3, (5, 6)), (4, (4, 5)), (5, (5, 5))]
        {
            assert!(!with(candidate, set), "{candidate} {set:?}");
        }
    }

    #[test]
    fn equals_are_together_in_a_tier_whether_or_not_it_is_also_the_others() {
        for together in [[1, 1, 1, 2, 2, 2], [1; 6]] {
            assert!(equals_together(&together));
        }
        for apart in [[1, 1, 2, 3, 3, 3], [1, 1, 1, 2, 2, 3], [1, 2, 1, 3, 4, 3]] {
            assert!(!equals_together(&apart), "{apart:?}");
        }
    }

    #[test]
    fn ranks_are_checked_for_own_and_for_shared_sessions() {
        let rows = ranks(4, seed());
        let named: Vec<_> = rows.iter().map(|row| (row.check, row.generator.as_str())).collect();
        let (hold, share) = ("rank sets hold the true ranks", "equals share a tier");
        let (own, shared) = ("own sessions", "shared sessions");
        assert_eq!(named, [(hold, own), (share, own), (hold, shared), (share, shared)]);
        assert!(
            rows.iter().all(|row| row.at_least == Some(0.945) && row.at_most.is_none() && row.rate >= 0.75)
        );
    }

    #[test]
    fn similarities_are_normal_around_the_gate_or_exponential_below_one() {
        let mut stream = seed().stream(0);
        let mut same = stream.clone();
        let drawn = several(3, normal, &mut stream);
        assert_eq!(drawn.len(), 3);
        assert!(drawn.iter().all(|one| close(*one, 0.85 + 0.05 * same.normal())));
        let (mut stream, mut same) = (same.clone(), same);
        assert!(close(skewed(&mut stream), 1.0 + 0.1 * same.uniform().ln()));
        assert_eq!(
            [None, Some(0.8), Some(0.9), Some(0.91)].map(|bound| beyond(bound, 0.9)),
            [false, false, false, true]
        );
    }

    #[test]
    fn a_gate_is_falsely_passed_as_often_as_its_bound_allows() {
        let rows = bounds(200, seed());
        let found: Vec<_> = rows.iter().map(|row| (row.method.as_str(), row.pairs, row.at_most)).collect();
        let corrected = "one-sided t, skewness-corrected";
        assert_eq!(
            found,
            [
                (corrected, 40, Some(0.055)),
                (corrected, 160, Some(0.06)),
                ("one-sided t", 160, None),
                ("5% quantile", 160, Some(0.055))
            ]
        );
        assert!(rows.iter().all(|row| row.rate > 0.0 && row.rate < 0.12), "{rows:#?}");
    }

    #[test]
    fn a_session_of_four_pairs_is_at_times_late_and_on_average_as_fast() {
        let (mut stream, mut late) = (seed().stream(0), [0; 2]);
        let mut same = stream.clone();
        for _ in 0..40 {
            let mut pair = || {
                let slower = same.chance(0.05);
                late[usize::from(slower)] += 1;
                0.01 * (same.normal() - same.normal()) + if slower { 0.076 } else { -0.004 }
            };
            let expected: Vec<f64> = (0..4).map(|_| pair()).collect();
            assert!(close(at_times_late(&mut stream), student::mean(&expected)));
        }
        assert!(late.iter().sum::<u32>() == 160 && late[1] > 2 && late[0] > 100, "{late:?}");
    }

    #[test]
    fn what_fails_has_no_bounds_and_what_holds_has() {
        let rows = limits(4, seed());
        let bounded: Vec<_> = rows
            .iter()
            .filter(|row| row.at_least.is_some())
            .map(|row| (row.method.as_str(), row.sessions))
            .collect();
        let signed = Method::HodgesLehmann.name();
        assert_eq!(bounded, [("autocorrelation", 1), (signed, 5), (signed, 8), (signed, 20)]);
        assert_eq!(rows.len(), 5 + 3 * 3);
    }

    #[test]
    fn a_run_is_tried_at_the_size_of_its_largest_candidate() {
        let session = |key: u32, pairs: &[f64]| Session {
            key,
            pairs: pairs
                .iter()
                .map(|ms| Pair { baseline_ms: 1.0, candidate_ms: *ms, throttled: false })
                .collect(),
        };
        let candidate = |sessions: Vec<Session>| CandidateSamples::whole("one", sessions);
        let table = SampleTable {
            baseline: "old".to_owned(),
            candidates: vec![
                candidate(vec![session(0, &[0.9, 1.1]), session(1, &[0.8]), session(2, &[1.2])]),
                candidate(vec![session(0, &[0.9]), session(1, &[1.0, 1.1, 1.2, 0.9])]),
            ],
            warnings: Vec::new(),
            digest: Digest::of("a run"),
        };
        let rows = of_run(&table, &Residuals::of(&table).unwrap(), 4, seed());
        let sizes: Vec<_> = rows.iter().map(|row| (row.check, row.sessions, row.pairs)).collect();
        assert_eq!(sizes, [("coverage", 3, 4), ("A/A claims", 3, 4)]);
    }
}
