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
const SHAPE: Shape = Shape { candidates: 64, rounds: ROUNDS, pairs: PAIRS, ..Shape::ASSUMED };

/// The same contest on a machine with so many times the noise.
fn noisier(shape: Shape, times: f64) -> Shape {
    Shape { process: times * shape.process, request: times * shape.request, ..shape }
}

/// Whether a contest took more than that part of the full plan's time which hardly any takes.
fn long(share: f64) -> bool {
    share > 0.45
}

/// Contests in which every candidate has a baseline of its own, as their rows call them.
fn apart() -> [(&'static str, Shape); 10] {
    let close = Shape { lead: 0.0101, ..SHAPE };
    // A lead of 1% is a fifth of a session's spread.
    let loud = noisier(close, 10.0);
    [
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
    ]
}

/// Contests whose candidates share their baselines and ask little in the first rounds.
fn together() -> [(&'static str, Shape); 6] {
    let shared = Shape { block: 12, early_rounds: EARLY_ROUNDS, early_pairs: PAIRS.div_ceil(3), ..SHAPE };
    let close = Shape { lead: 0.0101, ..shared };
    [
        ("256, best by 3%, blocks", Shape { candidates: 256, ..shared }),
        ("64, best by 1%, blocks", close),
        ("64, best by 3%, five times as noisy, blocks", Shape { best_noise: 5.0, ..shared }),
        ("64, best by 1%, five times as noisy, blocks", Shape { best_noise: 5.0, ..close }),
        ("6, best by 1%, five times as noisy, blocks", Shape { candidates: 6, best_noise: 5.0, ..close }),
        ("64, best by 3%, drift 1%, blocks", Shape { drift: 0.01, ..shared }),
    ]
}

pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let reaches = Reaches::new(ROUNDS);
    let plan = |check, generator| Plan {
        check,
        method: METHOD,
        generator,
        sessions: ROUNDS,
        pairs: PAIRS,
        repetitions,
        seed,
    };
    let lost = |(generator, shape): (&'static str, Shape)| {
        plan("the best is lost", generator)
            .run(None, Some(LOST), |stream| shape.course(&reaches, stream).lost)
    };
    let mut rows: Vec<Row> = apart().into_iter().map(lost).collect();
    rows.push(
        plan("more than 45% of time", "64, best by 3%")
            .run(None, Some(0.05), |stream| long(SHAPE.share(&SHAPE.course(&reaches, stream), &COST))),
    );
    rows.extend(together().map(lost));
    let [(name, many), ..] = together();
    let stated = plan("of the time of the full plan", name);
    let found = forecast(&many, &COST, stated.repetitions, stated.seed);
    rows.push(stated.mean(found.expected / found.own_baselines, 1.0 / 6.0));
    let boundary = Looks::new(FIRST_LOOK, ROUNDS).boundary(1.0 - LEVEL);
    for (generator, shape) in together().into_iter().take(2) {
        rows.push(plan("anyone's interval covers", generator).run(
            Some(COVERAGE.0),
            Some(COVERAGE.1),
            |stream| {
                let seen = shape.course(&reaches, stream).seen;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The races that METHODOLOGY tells of; a row that is never lost does not show which one it was.
    #[test]
    fn races_are_those_that_their_rows_are_called_by() {
        insta::assert_debug_snapshot!((apart(), together()));
    }

    /// 351 of the 780 sessions are 45% to the last bit.
    #[test]
    fn a_contest_is_long_that_takes_more_than_45_percent() {
        assert_eq!([350.0, 351.0, 352.0].map(|sessions| long(sessions / 780.0)), [false, false, true]);
    }

    #[test]
    fn a_lead_of_one_percent_is_a_fifth_of_a_loud_sessions_spread() {
        let (_, loud) = apart()[6];
        let spread =
            |own: f64| (own.powi(2) * (SHAPE.process.powi(2) + SHAPE.request.powi(2) / PAIRS as f64)).sqrt();
        assert!((loud.process / SHAPE.process, loud.request / SHAPE.request) == (10.0, 10.0));
        assert!((loud.lead / spread(10.0) - 0.2).abs() < 0.02, "{}", loud.lead / spread(10.0));
    }
}
