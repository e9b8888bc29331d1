//! Leaving the race: how often the best is lost, how long a contest takes, and whether the intervals of
//! those who left still hold.

use super::Row;
use super::checks::Plan;
use crate::elimination::Reaches;
use crate::forecast::Shape;
use crate::random::Seed;

/// The chance that nobody as good as the best is left.
const LOST: f64 = 0.01;
const METHOD: &str = "field's spread, guarded";
const ROUNDS: usize = 12;
const PAIRS: usize = 20;
/// Process SD .5%, request SD 1%: the best leads by 3%.
const SHAPE: Shape = Shape {
    candidates: 64,
    rounds: ROUNDS,
    pairs: PAIRS,
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
    rows.push(plan("more than 45% of sessions", "64, best by 3%").run(None, Some(0.05), |stream| {
        let sessions = SHAPE.course(&reaches, stream).sessions;
        sessions as f64 > 0.45 * ((SHAPE.candidates + 1) * ROUNDS) as f64
    }));
    rows
}
