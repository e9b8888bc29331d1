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
        let session = |_| {
            let processes = 0.003 * (stream.normal() - stream.normal());
            let pairs: f64 = (0..20).map(|_| 0.01 * (stream.normal() - stream.normal())).sum();
            -0.01 + processes + pairs / 20.0
        };
        let drawn: Vec<f64> = (0..8).map(session).collect();
        student::interval(&drawn, LEVEL).upper.is_some_and(|upper| upper < 0.0)
    })
}

/// Rank sets and tiers of two groups of equals, 1% apart.
fn ranks(repetitions: usize, seed: Seed) -> Vec<Row> {
    let draw = |together: bool, stream: &mut Stream| -> Vec<Series> {
        let common: Vec<f64> = (0..5).map(|_| 0.005 * stream.normal()).collect();
        (0..6u32)
            .map(|candidate| {
                let shift = if candidate < 3 { -0.01 } else { 0.0 };
                let start = if together { 0 } else { 5 * candidate };
                let mean = |base: &f64| shift + 0.003 * stream.normal() + if together { *base } else { 0.0 };
                Series {
                    keys: (start..start + 5).collect(),
                    means: common.iter().map(mean).collect(),
                    blur: 0.0,
                }
            })
            .collect()
    };
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
            let sets = Ranks::of(&draw(together, stream), LEVEL, None).sets;
            sets[..3].iter().all(|s| s.0 == 1 && s.1 >= 3) && sets[3..].iter().all(|s| s.0 <= 4 && s.1 == 6)
        }));
        rows.push(plan("equals share a tier").run(Some(0.945), None, |stream| {
            let tiers = Ranks::of(&draw(together, stream), LEVEL, None).tiers;
            tiers[..3].iter().all(|t| *t == tiers[0]) && tiers[3..].iter().all(|t| *t == tiers[3])
        }));
    }
    rows
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
    // 1 − similarity: normal around .15, or exponential with mean .1
    fn normal(stream: &mut Stream) -> f64 {
        0.85 + 0.05 * stream.normal()
    }
    fn skewed(stream: &mut Stream) -> f64 {
        1.0 + 0.1 * stream.uniform().ln()
    }
    fn draw(n: usize, one: fn(&mut Stream) -> f64, stream: &mut Stream) -> Vec<f64> {
        (0..n).map(|_| one(stream)).collect()
    }
    let passes =
        |bound: fn(&[f64], f64) -> Option<f64>, n: usize, one: fn(&mut Stream) -> f64, truth: f64| {
            move |stream: &mut Stream| bound(&draw(n, one, stream), LEVEL).is_some_and(|bound| bound > truth)
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
            let sorted = crate::estimators::quantiles::Sorted::new(draw(160, skewed, stream));
            sorted.lower_bound(0.05, LEVEL).is_some_and(|bound| bound > truth)
        }),
    ]
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
        let one = |stream: &mut Stream| {
            let late = if stream.chance(0.05) { 0.08 } else { 0.0 };
            0.01 * (stream.normal() - stream.normal()) + late - 0.05 * 0.08
        };
        let session = |stream: &mut Stream| (0..4).map(|_| one(stream)).sum::<f64>() / 4.0;
        let drawn: Vec<f64> = (0..5).map(|_| session(stream)).collect();
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
