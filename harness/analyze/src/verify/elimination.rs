//! Leaving the race: how often the best is lost, how long a contest takes, and whether the intervals of
//! those who left still hold.

use super::Row;
use super::checks::Plan;
use crate::elimination::Reaches;
use crate::estimators::student;
use crate::forecast::{Cost, Shape, forecast};
use crate::random::Seed;
use crate::sequential::{FIRST_LOOK, Looks};

/// The chance that nobody as good as the best is left.
const LOST: f64 = 0.01;
const METHOD: &str = "field's spread, guarded";
const LEVEL: f64 = 0.95;
/// Coverage of a nominal 95% interval.
const COVERAGE: (f64, f64) = (0.935, 0.97);
/// A load takes as long as seven and a half answers, and five answers of a process are not measured.
const COST: Cost = Cost { load: 15.0, answer: 2.0, unmeasured: 5.0 };
const ROUNDS: usize = 12;
const EARLY_ROUNDS: usize = 6;
const PAIRS: usize = 20;
/// Process SD .5%, request SD 1%: the best leads by 3%.
const SHAPE: Shape = Shape {
    candidates: 64,
    rounds: ROUNDS,
    pairs: PAIRS,
    early_rounds: 0,
    early_pairs: 0,
    block: 1,
    lead: 0.03,
    process: 0.005,
    request: 0.01,
    best_noise: 1.0,
    noisy: 0.0,
    drift: 0.0,
};

pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let reaches = Reaches::new(ROUNDS);
    let close = Shape { lead: 0.0101, ..SHAPE };
    // Ten times the noise: a lead of 1% is a fifth of a session's spread.
    let loud = Shape { process: 0.05, request: 0.1, ..close };
    let plan = |check, generator| Plan {
        check,
        method: METHOD,
        generator,
        sessions: ROUNDS,
        pairs: PAIRS,
        repetitions,
        seed,
    };
    let mut rows = Vec::new();
    for (generator, shape) in [
        ("64, best by 3%", SHAPE),
        ("64, best by 3%, five times as noisy", Shape { best_noise: 5.0, ..SHAPE }),
        ("64, best by 1%", close),
        ("64, best by 1%, twice as noisy", Shape { best_noise: 2.0, ..close }),
        ("64, best by 1%, five times as noisy", Shape { best_noise: 5.0, ..close }),
        ("6, best by 1%, five times as noisy", Shape { candidates: 6, best_noise: 5.0, ..close }),
        ("64, best by 1%, noise ×10, its own ×50", Shape { best_noise: 5.0, ..loud }),
        ("6, best by 1%, noise ×10, its own ×50", Shape { candidates: 6, best_noise: 5.0, ..loud }),
        ("64, best by 1%, a fifth noisy", Shape { noisy: 0.2, ..close }),
        ("64, best by 3%, drift 1%", Shape { drift: 0.01, ..SHAPE }),
    ] {
        rows.push(
            plan("the best is lost", generator)
                .run(None, Some(LOST), |stream| shape.course(&reaches, stream).lost),
        );
    }
    rows.push(
        plan("more than 45% of time", "64, best by 3%")
            .run(None, Some(0.05), |stream| SHAPE.share(&SHAPE.course(&reaches, stream), &COST) > 0.45),
    );
    rows.extend(shared(&reaches, &plan));
    rows
}

/// Contests whose candidates share their baselines and ask little in the first rounds.
fn shared(reaches: &Reaches, plan: &dyn Fn(&'static str, &'static str) -> Plan<'static>) -> Vec<Row> {
    const SHARED: Shape =
        Shape { block: 12, early_rounds: EARLY_ROUNDS, early_pairs: PAIRS.div_ceil(3), ..SHAPE };
    let many = Shape { candidates: 256, ..SHARED };
    let close = Shape { lead: 0.0101, ..SHARED };
    let mut rows = Vec::new();
    for (generator, shape) in [
        ("256, best by 3%, blocks", many),
        ("64, best by 3%, five times as noisy, blocks", Shape { best_noise: 5.0, ..SHARED }),
        ("64, best by 1%, blocks", close),
        ("64, best by 1%, five times as noisy, blocks", Shape { best_noise: 5.0, ..close }),
        ("6, best by 1%, five times as noisy, blocks", Shape { candidates: 6, best_noise: 5.0, ..close }),
        ("64, best by 3%, drift 1%, blocks", Shape { drift: 0.01, ..SHARED }),
    ] {
        rows.push(
            plan("the best is lost", generator)
                .run(None, Some(LOST), |stream| shape.course(reaches, stream).lost),
        );
    }
    let stated = plan("of the time of the full plan", "256, best by 3%, blocks");
    let found = forecast(&many, &COST, stated.repetitions, stated.seed);
    rows.push(stated.mean(found.expected / found.own_baselines, 1.0 / 6.0));
    let boundary = Looks::new(FIRST_LOOK, ROUNDS).boundary(1.0 - LEVEL);
    for (generator, shape) in [("256, best by 3%, blocks", many), ("64, best by 1%, blocks", close)] {
        rows.push(plan("anyone's interval covers", generator).run(
            Some(COVERAGE.0),
            Some(COVERAGE.1),
            |stream| {
                let seen = shape.course(reaches, stream).seen;
                let one = stream.below(shape.candidates as u32) as usize;
                let means: Vec<f64> = seen[one].iter().map(|s| s.candidate - s.baseline).collect();
                let interval = match means.len() < FIRST_LOOK {
                    true => student::interval(&means, LEVEL),
                    false => boundary.interval(&means, LEVEL, FIRST_LOOK),
                };
                interval.covers(-shape.speed(one))
            },
        ));
    }
    rows
}
