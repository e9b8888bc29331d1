//! Looking after every session without paying for it in false claims.
//!
//! A t interval at 95%, looked at after each session, misses the truth somewhere on the way far
//! more often than in 5%. Here the error is spent over the looks (group sequential design):
//! at n sessions the interval is a t interval at level 1 − c·n/N, N the most sessions planned,
//! and c is such that under normal session means *all* looks from the first to the last hold
//! together with the stated level. Because all hold, so does the one at which one stops, for
//! whatever reason. c depends on first and last look only, not on the data: t statistics of
//! normal values have no unknown parameter. It is found by simulation with a fixed seed.

use rayon::prelude::*;

use crate::estimators::student;
use crate::estimators::{Method, Summary};
use crate::random::Seed;

/// The fewest sessions after which anything may be concluded.
pub const FIRST_LOOK: usize = 5;

/// The fewest common rounds after which two candidates may be told apart where measuring may stop.
const FIRST_PAIR_LOOK: usize = 2;

/// The p-value of a comparison of two candidates after `n` of at most `last` rounds, each of which
/// might have been their last for what it showed.
///
/// Half of the error is spent on the last round, for those who come so far, the rest evenly on the
/// rounds before: a union bound, so it holds for every test.
pub fn pair_p_value(p: f64, n: usize, last: usize) -> f64 {
    let before = last.saturating_sub(FIRST_PAIR_LOOK);
    let shares = match (before, n >= last) {
        (0, _) => 1,
        (_, true) => 2,
        (_, false) => 2 * before,
    };
    (shares as f64 * p).min(1.0)
}

/// Simulated paths; the Monte-Carlo error of the 5% is then 0.05 points.
const PATHS: usize = 200_000;
/// Paths per random stream.
const BLOCK: usize = 2_000;

/// Looks after each session from `first` to `last`, with the simulated null distribution.
#[derive(Debug, Clone)]
pub struct Looks {
    first: usize,
    last: usize,
    /// |t| of every path at every look, path by path.
    statistics: Vec<f32>,
}

impl Looks {
    /// Looks after `first` (at least 2) to `last` (at least `first`) sessions.
    pub fn new(first: usize, last: usize) -> Self {
        let first = first.max(2);
        let last = last.max(first);
        // Very long plans get fewer paths, so that time and memory stay bounded.
        let paths = (20_000_000 / last).clamp(10 * BLOCK, PATHS);
        let seed = Seed::of("edgemaxx sequential looks");
        let statistics = (0..paths / BLOCK)
            .into_par_iter()
            .flat_map_iter(|block| {
                let mut stream = seed.stream(block as u64);
                let mut out = Vec::with_capacity(BLOCK * (last - first + 1));
                for _ in 0..BLOCK {
                    let (mut mean, mut squares) = (0.0_f64, 0.0_f64);
                    for n in 1..=last {
                        let step = stream.normal() - mean;
                        mean += step / n as f64;
                        squares += step * step * (n - 1) as f64 / n as f64;
                        if n >= first {
                            let error = (squares / ((n - 1) * n) as f64).sqrt();
                            out.push((mean.abs() / error) as f32);
                        }
                    }
                }
                out
            })
            .collect();
        Self { first, last, statistics }
    }

    /// The first look.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The last look.
    pub fn last(&self) -> usize {
        self.last
    }

    fn width(&self) -> usize {
        self.last - self.first + 1
    }

    fn paths(&self) -> usize {
        self.statistics.len() / self.width()
    }

    /// The share of the error that look `n` gets.
    fn weight(&self, n: usize) -> f64 {
        n.min(self.last) as f64 / self.last as f64
    }

    /// The chance that any look's two-sided p-value is at most `scale` times its weight.
    fn any_crossing(&self, scale: f64) -> f64 {
        let boundary: Vec<f32> = (self.first..=self.last)
            .map(|n| student::critical(scale * self.weight(n), (n - 1) as f64) as f32)
            .collect();
        let crossings: usize = self
            .statistics
            .par_chunks_exact(self.width())
            .map(|path| usize::from(path.iter().zip(&boundary).any(|(t, b)| t >= b)))
            .sum();
        // Never zero: the simulation cannot resolve less.
        (crossings + 1) as f64 / (self.paths() + 1) as f64
    }

    /// The boundary for a family-wise error `alpha` over all looks.
    pub fn boundary(&self, alpha: f64) -> Boundary {
        let (mut low, mut high) = (alpha / self.width() as f64 / 2.0, alpha);
        while high / low > 1.0 + 1e-6 {
            let middle = (low * high).sqrt();
            if self.any_crossing(middle) <= alpha { low = middle } else { high = middle }
        }
        Boundary { scale: low, last: self.last }
    }

    /// The p-value that stays valid when looked at after every session: the smallest overall
    /// error at which look `n` with the ordinary p-value `p` would claim something.
    pub fn p_value(&self, p: f64, n: usize) -> f64 {
        if p <= 0.0 || n < self.first {
            return if n < self.first { 1.0 } else { 1.0 / (self.paths() + 1) as f64 };
        }
        self.any_crossing((p / self.weight(n)).min(1.0))
    }
}

/// How much error each look may spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    scale: f64,
    last: usize,
}

impl Boundary {
    /// The error that the look after `n` sessions spends: its interval has level 1 − this.
    pub fn alpha(&self, n: usize) -> f64 {
        self.scale * n.min(self.last) as f64 / self.last as f64
    }

    /// The interval after these session means; a bare point before the first look would be
    /// allowed (`first`). `level` is what is stated: that of all looks together.
    pub fn interval(&self, session_means: &[f64], level: f64, first: usize) -> Summary {
        let n = session_means.len();
        if n < first {
            return Summary::bare(student::mean(session_means), level, n, Method::Student);
        }
        Summary { level, ..student::varying(session_means, 1.0 - self.alpha(n)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(seed: Seed, path: u64, count: usize, shift: f64) -> Vec<f64> {
        let mut stream = seed.stream(path);
        (0..count).map(|_| shift + 0.005 * stream.normal()).collect()
    }

    #[test]
    fn the_spent_error_adds_up() {
        let looks = Looks::new(5, 20);
        let boundary = looks.boundary(0.05);
        // An independent simulation (numpy, 400,000 paths, another seed) gave first 0.00413 and
        // last 0.01651.
        assert!((boundary.alpha(5) / 0.00413 - 1.0).abs() < 0.05, "{}", boundary.alpha(5));
        assert!((boundary.alpha(20) / 0.01651 - 1.0).abs() < 0.05, "{}", boundary.alpha(20));
        let single = Looks::new(8, 8).boundary(0.05);
        assert!((single.alpha(8) - 0.05).abs() < 0.002, "one look spends all: {single:?}");
    }

    #[test]
    fn intervals_hold_at_the_stopping_time() {
        let looks = Looks::new(5, 20);
        let boundary = looks.boundary(0.05);
        let seed = Seed::of("stopping");
        let (mut missed, mut naive) = (0, 0);
        for path in 0..4000 {
            let means = sessions(seed, path, 20, 0.0);
            // The worst stopping rule there is: stop as soon as zero is excluded.
            missed += u32::from((5..=20).any(|n| !boundary.interval(&means[..n], 0.95, 5).covers(0.0)));
            naive += u32::from((5..=20).any(|n| !student::interval(&means[..n], 0.95).covers(0.0)));
        }
        assert!(missed <= 240, "{missed} of 4000 (5% is 200, two errors 28)");
        assert!(naive > 500, "{naive}: peeking with plain intervals would go unnoticed");
    }

    #[test]
    fn pairs_share_their_error_over_the_rounds() {
        let spent: f64 = (2..=12).map(|n| 0.05 / pair_p_value(1e-6, n, 12) * 1e-6).sum();
        assert!((spent - 0.05).abs() < 1e-12, "{spent}");
        assert_eq!((pair_p_value(0.01, 2, 2), pair_p_value(0.9, 3, 9)), (0.01, 1.0));
    }

    #[test]
    fn p_and_interval_agree_at_every_look() {
        let looks = Looks::new(5, 12);
        let boundary = looks.boundary(0.05);
        let seed = Seed::of("agreement");
        for path in 0..10 {
            let means = sessions(seed, path, 12, 0.004);
            for n in 5..=12 {
                let interval = boundary.interval(&means[..n], 0.95, 5);
                let p = looks.p_value(interval.p_value.unwrap(), n);
                if (p - 0.05).abs() > 1e-4 {
                    assert_eq!(p <= 0.05, !interval.covers(0.0), "{p} {interval:?}");
                }
            }
        }
    }

    /// Looks after two to four sessions, on paths that are written down.
    fn told(paths: &[[f32; 3]]) -> Looks {
        Looks { first: 2, last: 4, statistics: paths.concat() }
    }

    /// At a scale of 0.1 the looks have 5%, 7.5% and 10%: t beyond 12.706, 3.443 and 2.353.
    #[test]
    fn a_path_counts_once_where_any_look_crosses() {
        let looks = told(&[
            [13.0, 0.0, 0.0],
            [12.0, 0.0, 0.0],
            [0.0, 3.5, 2.4],
            [0.0, 3.4, 0.0],
            [0.0, 0.0, 2.36],
            [0.0, 0.0, 2.35],
        ]);
        assert_eq!((looks.first(), looks.last(), looks.width(), looks.paths()), (2, 4, 3, 6));
        assert_eq!([2, 3, 4, 9].map(|n| looks.weight(n)), [0.5, 0.75, 1.0, 1.0]);
        let eight = Looks { first: 5, last: 12, statistics: vec![0.0; 16] };
        assert_eq!((eight.width(), eight.paths()), (8, 2));
        assert_eq!(looks.any_crossing(0.1), 4.0 / 7.0);
        // The error of all looks at which this one would just claim something.
        for (p, n, expected) in [
            (0.05, 2, 4.0 / 7.0),
            (0.075, 3, 4.0 / 7.0),
            (0.1, 4, 4.0 / 7.0),
            (0.0, 2, 1.0 / 7.0),
            (0.0, 1, 1.0),
            (0.01, 1, 1.0),
            (1.0, 2, 1.0),
        ] {
            assert_eq!(looks.p_value(p, n), expected, "{p} after {n}");
        }
    }

    /// One of nine paths may cross: the second does at |t| = 5.204 with two degrees of freedom, that is at 3.5%.
    #[test]
    fn a_boundary_is_as_wide_as_the_error_allows() {
        let mut paths = [[0.0; 3]; 9];
        (paths[3], paths[7]) = ([0.0, 9.0, 0.0], [0.0, 5.204, 0.0]);
        let t = f64::from(5.204_f32);
        let expected = (1.0 - t / (t * t + 2.0).sqrt()) / 0.75;
        let boundary = told(&paths).boundary(0.2);
        assert!((boundary.scale / expected - 1.0).abs() < 3e-6, "{boundary:?} instead of {expected}");
        assert_eq!(boundary.last, 4);
    }

    #[test]
    fn a_look_spends_its_share_and_states_the_whole_level() {
        let boundary = Boundary { scale: 0.25, last: 8 };
        assert_eq!([2, 4, 8, 9].map(|n| boundary.alpha(n)), [0.0625, 0.125, 0.25, 0.25]);
        let means = [0.01, 0.02, 0.04, 0.03];
        let bare = Summary::bare(0.02, 0.9, 2, Method::Student);
        let at = |n: usize| boundary.interval(&means[..n], 0.9, 4);
        assert_eq!((at(2).lower, at(2).n, at(2).level), (None, 2, 0.9));
        assert_eq!(at(3), Summary { point: student::mean(&means[..3]), n: 3, ..bare });
        assert_eq!(at(4), Summary { level: 0.9, ..student::interval(&means, 0.875) });
    }
}
