//! How long a contest will take: simulated with the rule that ends candidates, before anything is measured.

use rayon::prelude::*;
use serde::Serialize;

use crate::elimination::{Reaches, SessionSpeed, SpeedRange, ranges};
use crate::random::{Seed, Stream};

/// How often in a round a simulated contest looks who has to leave; a real one looks after every session.
const LOOKS_A_ROUND: usize = 4;
/// Whoever is within this of the best, as a logarithm, is as good a winner.
pub(crate) const AS_GOOD: f64 = 0.01;
/// The share of contests that a budget is to decide.
const DECIDED: f64 = 0.95;

/// A contest as far as its length is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Candidates, without the control.
    pub candidates: usize,
    /// The most sessions of each.
    pub rounds: usize,
    /// Pairs of a session.
    pub pairs: usize,
    /// By how much, as a logarithm of latency, the best is faster than all others.
    pub lead: f64,
    /// SD of a process's speed, relative.
    pub process: f64,
    /// SD of a request's latency, relative.
    pub request: f64,
    /// How many times as much as the others' the best one's sessions scatter.
    pub best_noise: f64,
    /// The part of the others whose sessions scatter five times as much.
    pub noisy: f64,
    /// By how much the machine slows from the first round to the last, relative.
    pub drift: f64,
}

/// What became of a simulated contest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Course {
    /// Sessions until nobody but one of the best was left; `None`: somebody was until the end.
    pub(crate) decided: Option<usize>,
    /// Sessions to the end, the control's among them.
    pub(crate) sessions: usize,
    /// Whether nobody as good as the best was left.
    pub(crate) lost: bool,
}

impl Shape {
    /// One contest. The first candidate is the best, the last runner is the control.
    pub(crate) fn course(&self, reaches: &Reaches, stream: &mut Stream) -> Course {
        let runners = self.candidates + 1;
        let own = (self.process.powi(2) + self.request.powi(2) / self.pairs as f64).sqrt();
        let speed = |runner: usize| if runner == 0 { self.lead } else { 0.0 };
        let spread = |runner: usize| match runner {
            0 => self.best_noise * own,
            _ if (runner as f64) < self.noisy * self.candidates as f64 => 5.0 * own,
            _ => own,
        };
        let as_good = |runner: usize| speed(runner) >= self.lead - AS_GOOD;
        let mut seen: Vec<Vec<SessionSpeed>> = vec![Vec::new(); runners];
        let mut racing = vec![true; self.candidates];
        let mut course = Course { decided: None, sessions: 0, lost: false };
        for round in 0..self.rounds {
            let mut order: Vec<usize> = (0..runners).collect();
            stream.shuffle(&mut order);
            for quarter in order.chunks(runners.div_ceil(LOOKS_A_ROUND)) {
                for &runner in quarter.iter().filter(|&&runner| runner == self.candidates || racing[runner]) {
                    let slow = self.drift * round as f64 / self.rounds as f64;
                    let baseline = slow + own * stream.normal();
                    let candidate = slow - speed(runner) + spread(runner) * stream.normal();
                    seen[runner].push(SessionSpeed { round: round as u32, candidate, baseline });
                    course.sessions += 1;
                }
                leave(&seen, &mut racing, reaches);
                let decided = (0..self.candidates).all(|runner| !racing[runner] || as_good(runner));
                if decided && course.decided.is_none() {
                    course.decided = Some(course.sessions);
                }
            }
        }
        course.lost = !(0..self.candidates).any(|runner| racing[runner] && as_good(runner));
        course
    }
}

/// Ends whoever is surely slower than another candidate.
fn leave(seen: &[Vec<SessionSpeed>], racing: &mut [bool], reaches: &Reaches) {
    let sessions: Vec<&[SessionSpeed]> = seen.iter().map(Vec::as_slice).collect();
    let found: Vec<SpeedRange> = ranges(&sessions, reaches);
    let candidates = &found[..racing.len()];
    let best = candidates.iter().map(|range| range.low).fold(f64::NEG_INFINITY, f64::max);
    for (racing, range) in racing.iter_mut().zip(candidates) {
        *racing &= range.high >= best;
    }
}

/// How many sessions a contest takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// All that are planned.
    pub at_most: usize,
    /// With whoever cannot become first leaving, on average.
    pub expected: f64,
    /// So many decide 95% of contests: only the best, or one within 1% of it, is left. `None`: with
    /// all sessions fewer are decided.
    pub decided: Option<usize>,
    /// The share of contests that all sessions decide.
    pub decided_at_all: f64,
    /// Contests simulated.
    pub contests: usize,
}

/// Simulates contests of a shape. Equal arguments give equal forecasts.
pub fn forecast(shape: &Shape, contests: usize, seed: Seed) -> Forecast {
    let reaches = Reaches::new(shape.rounds);
    let courses: Vec<Course> = (0..contests)
        .into_par_iter()
        .map(|contest| shape.course(&reaches, &mut seed.stream(contest as u64)))
        .collect();
    let mut decided: Vec<usize> = courses.iter().filter_map(|course| course.decided).collect();
    decided.sort_unstable();
    let needed = (DECIDED * contests as f64).ceil() as usize;
    Forecast {
        at_most: (shape.candidates + 1) * shape.rounds,
        expected: courses.iter().map(|course| course.sessions as f64).sum::<f64>() / contests as f64,
        decided: decided.get(needed.max(1) - 1).copied(),
        decided_at_all: decided.len() as f64 / contests as f64,
        contests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        candidates: 24,
        rounds: 12,
        pairs: 20,
        lead: 0.05,
        process: 0.005,
        request: 0.01,
        best_noise: 1.0,
        noisy: 0.0,
        drift: 0.0,
    };

    #[test]
    fn a_clear_lead_is_decided_early_and_none_is_not() {
        let clear = forecast(&SHAPE, 40, Seed::of("forecast"));
        assert_eq!(clear, forecast(&SHAPE, 40, Seed::of("forecast")));
        assert_eq!((clear.at_most, clear.contests), (300, 40));
        assert!(clear.expected < 130.0 && clear.decided < Some(200), "{clear:?}");
        let none = forecast(&Shape { lead: 0.011, ..SHAPE }, 40, Seed::of("forecast"));
        assert!(none.decided.is_none() && none.expected > 200.0, "{none:?}");
    }
}
