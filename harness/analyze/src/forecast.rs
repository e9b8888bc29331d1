//! How long a contest will take: simulated with the rule that ends candidates, before anything is measured.

use rayon::prelude::*;
use serde::Serialize;

use crate::elimination::{Reaches, SessionSpeed, SpeedRange, ranges};
use crate::random::{Seed, Stream};

/// How often in a round a simulated contest looks who has to leave; a real one looks after every session or block.
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
    /// So many of the first rounds have `early_pairs`.
    pub early_rounds: usize,
    /// Pairs of a session in the early rounds.
    pub early_pairs: usize,
    /// Candidates that share one launch of the baseline; 1: each has its own.
    pub block: usize,
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
    /// By how much the machine slows from the first process to the last of the full plan, relative.
    pub drift: f64,
}

impl Shape {
    /// One candidate for one round of one pair, and what is assumed of noise where nothing was measured: processes differ by
    /// half a percent, requests by one, and the best is faster than all others by three.
    pub const ASSUMED: Self = Self {
        candidates: 1,
        rounds: 1,
        pairs: 1,
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
}

/// What a contest costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// From launch to ready.
    pub load: f64,
    /// An answer; candidates may be faster than the baseline, which is not counted on.
    pub answer: f64,
    /// Answers of a process that are not measured: warm-up, and what is asked again.
    pub unmeasured: f64,
}

impl Cost {
    /// One process that measures so many answers.
    pub fn process(&self, answers: f64) -> f64 {
        self.load + (self.unmeasured + answers) * self.answer
    }

    fn of(&self, spent: Spent) -> f64 {
        spent.processes as f64 * self.process(0.0) + spent.answers as f64 * self.answer
    }
}

/// What was launched and measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    processes: usize,
    answers: usize,
}

impl Spent {
    fn add(&mut self, processes: usize, pairs: usize) {
        self.processes += processes;
        self.answers += processes * pairs;
    }
}

/// What became of a simulated contest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Course {
    /// Until nobody but one of the best was left; `None`: somebody was until the end.
    decided: Option<Spent>,
    /// To the end, the control's among them.
    spent: Spent,
    /// Whether nobody as good as the best was left.
    pub(crate) lost: bool,
    /// What was seen of every candidate, and of the control.
    pub(crate) seen: Vec<Vec<SessionSpeed>>,
}

impl Shape {
    /// Pairs of a session of a round, from 0.
    fn pairs_in(&self, round: usize) -> usize {
        if round < self.early_rounds { self.early_pairs } else { self.pairs }
    }

    /// How many blocks so many candidates make; each has the control and the baseline. With a block of
    /// one the control is one more candidate.
    fn blocks(&self, candidates: usize) -> usize {
        candidates.div_ceil(self.block.max(1))
    }

    /// All that is planned.
    fn planned(&self) -> Spent {
        let mut spent = Spent::default();
        let processes = match self.block {
            0 | 1 => 2 * (self.candidates + 1),
            _ => self.candidates + 2 * self.blocks(self.candidates),
        };
        (0..self.rounds).for_each(|round| spent.add(processes, self.pairs_in(round)));
        spent
    }

    /// What all that is planned costs.
    pub fn costs(&self, cost: &Cost) -> f64 {
        cost.of(self.planned())
    }

    /// True ln speedup of a runner over the others.
    pub(crate) fn speed(&self, runner: usize) -> f64 {
        if runner == 0 { self.lead } else { 0.0 }
    }

    /// The share of the full plan with a baseline for each, at this cost, that a course took.
    pub(crate) fn share(&self, course: &Course, cost: &Cost) -> f64 {
        cost.of(course.spent) / cost.of(Self { block: 1, early_rounds: 0, ..*self }.planned())
    }

    /// One contest. The first candidate is the best, the last runner is the control.
    pub(crate) fn course(&self, reaches: &Reaches, stream: &mut Stream) -> Course {
        let control = self.candidates;
        let all = self.planned().processes.max(1) as f64;
        let mut seen: Vec<Vec<SessionSpeed>> = vec![Vec::new(); control + 1];
        let mut racing = vec![true; self.candidates];
        let mut course = Course { decided: None, spent: Spent::default(), lost: false, seen: Vec::new() };
        for round in 0..self.rounds {
            let own = (self.process.powi(2) + self.request.powi(2) / self.pairs_in(round) as f64).sqrt();
            let mut order: Vec<usize> = (0..self.candidates).filter(|&runner| racing[runner]).collect();
            order.extend((self.block <= 1).then_some(control));
            stream.shuffle(&mut order);
            let a_look = self.blocks(order.len()).div_ceil(LOOKS_A_ROUND).max(1);
            for blocks in 1.. {
                order.retain(|&runner| runner == control || racing[runner]);
                if order.is_empty() {
                    break;
                }
                let mut block = order.split_off(order.len() - order.len().div_ceil(self.blocks(order.len())));
                block.extend((self.block > 1).then_some(control));
                // The baseline is one of those who take turns.
                let mut turns: Vec<usize> = (0..=block.len()).collect();
                stream.shuffle(&mut turns);
                let slow = |turn: usize| self.drift * (course.spent.processes + turn) as f64 / all;
                let baseline = slow(turns[block.len()]) + own * stream.normal();
                for (&runner, &turn) in block.iter().zip(&turns) {
                    let spread = self.times_as_noisy(runner) * own;
                    let candidate = slow(turn) - self.speed(runner) + spread * stream.normal();
                    seen[runner].push(SessionSpeed { round: round as u32, candidate, baseline });
                }
                course.spent.add(block.len() + 1, self.pairs_in(round));
                if blocks % a_look == 0 || order.is_empty() {
                    leave(&seen, &mut racing, reaches);
                    let decided =
                        (0..self.candidates).all(|runner| !racing[runner] || self.is_as_good(runner));
                    if decided && course.decided.is_none() {
                        course.decided = Some(course.spent);
                    }
                }
            }
        }
        course.lost = !(0..self.candidates).any(|runner| racing[runner] && self.is_as_good(runner));
        course.seen = seen;
        course
    }

    fn is_as_good(&self, runner: usize) -> bool {
        self.speed(runner) >= self.lead - AS_GOOD
    }

    fn times_as_noisy(&self, runner: usize) -> f64 {
        match runner {
            0 => self.best_noise,
            _ if (runner as f64) < self.noisy * self.candidates as f64 => 5.0,
            _ => 1.0,
        }
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

/// What contests of a shape cost, in the unit of their [`Cost`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// All that is planned.
    pub at_most: f64,
    /// All that would be planned with a baseline for each candidate, and all pairs in every round.
    pub own_baselines: f64,
    /// With whoever cannot become first leaving, on average.
    pub expected: f64,
    /// So much decides 95% of contests: only the best, or one within 1% of it, is left. `None`: with
    /// all sessions fewer are decided.
    pub decided: Option<f64>,
    /// The share of contests that all sessions decide.
    pub decided_at_all: f64,
    /// The share of contests in which neither the best nor one within 1% of it is left.
    pub lost: f64,
    /// Contests simulated.
    pub contests: usize,
}

/// Simulates contests of a shape. Equal arguments give equal forecasts.
pub fn forecast(shape: &Shape, cost: &Cost, contests: usize, seed: Seed) -> Forecast {
    let reaches = Reaches::new(shape.rounds);
    let courses: Vec<(Option<Spent>, Spent, bool)> = (0..contests)
        .into_par_iter()
        .map(|contest| {
            let course = shape.course(&reaches, &mut seed.stream(contest as u64));
            (course.decided, course.spent, course.lost)
        })
        .collect();
    let share = |count: usize| count as f64 / contests as f64;
    let mut decided: Vec<f64> =
        courses.iter().filter_map(|(decided, ..)| Some(cost.of((*decided)?))).collect();
    decided.sort_by(f64::total_cmp);
    let needed = (DECIDED * contests as f64).ceil() as usize;
    Forecast {
        at_most: shape.costs(cost),
        own_baselines: cost.of(Shape { block: 1, early_rounds: 0, ..*shape }.planned()),
        expected: courses.iter().map(|(_, spent, _)| cost.of(*spent)).sum::<f64>() / contests as f64,
        decided: decided.get(needed.max(1) - 1).copied(),
        decided_at_all: share(decided.len()),
        lost: share(courses.iter().filter(|(.., lost)| *lost).count()),
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
        early_rounds: 0,
        early_pairs: 0,
        block: 1,
        lead: 0.05,
        process: 0.005,
        request: 0.01,
        best_noise: 1.0,
        noisy: 0.0,
        drift: 0.0,
    };
    /// In launches.
    const LAUNCHES: Cost = Cost { load: 1.0, answer: 0.0, unmeasured: 0.0 };

    #[test]
    fn a_clear_lead_is_decided_early_and_none_is_not() {
        let forecast = |shape: &Shape| forecast(shape, &LAUNCHES, 40, Seed::of("forecast"));
        let clear = forecast(&SHAPE);
        assert_eq!(clear, forecast(&SHAPE));
        assert_eq!((clear.at_most, clear.own_baselines, clear.contests), (600.0, 600.0, 40));
        assert!(clear.expected < 260.0 && clear.decided < Some(400.0), "{clear:?}");
        let none = forecast(&Shape { lead: 0.011, ..SHAPE });
        assert!(none.decided.is_none() && none.expected > 400.0, "{none:?}");
    }

    #[test]
    fn blocks_and_early_rounds_cost_what_they_launch_and_ask() {
        let shape = Shape { block: 8, early_rounds: 2, early_pairs: 5, ..SHAPE };
        let cost = Cost { load: 15.0, answer: 2.0, unmeasured: 5.0 };
        let found = forecast(&shape, &cost, 40, Seed::of("forecast"));
        // Three blocks of eight with the control and the baseline.
        let (early, late) = (15.0 + 2.0 * 10.0, 15.0 + 2.0 * 25.0);
        assert_eq!(found.at_most, 30.0 * (2.0 * early + 10.0 * late));
        assert_eq!(found.own_baselines, 50.0 * 12.0 * late);
        assert!(found.expected < 0.25 * found.own_baselines && found.lost == 0.0, "{found:?}");
        let spent = shape.course(&Reaches::new(12), &mut Seed::of("course").stream(0));
        assert!(spent.seen[24].len() > 12, "the control is in every block");
        assert!(spent.seen[..24].iter().all(|seen| seen.len() <= 12));
        assert!(shape.share(&spent, &cost) < 0.3);
    }
}
