//! Candidates that share a baseline: what each of them has in common with the others of its block must
//! make nobody's interval too narrow, and no false claim more frequent.

use super::checks::Plan;
use super::generators::{Generator, State};
use super::{Row, one_in};
use crate::estimators::multiplicity::holm;
use crate::estimators::student;
use crate::inference::pairwise::Series;
use crate::inference::ranks::Ranks;
use crate::random::{Seed, Stream};

const LEVEL: f64 = 0.95;
/// Coverage of a nominal 95% interval.
const COVERAGE: (f64, f64) = (0.935, 0.97);
/// Rates of false claims of every kind.
const FALSE_CLAIMS: f64 = 0.055;
/// Candidates without the control, and how many share a baseline.
const CANDIDATES: usize = 20;
const BLOCK: usize = 12;
const ROUNDS: usize = 5;
const PAIRS: usize = 10;

/// How a block's processes take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turns {
    /// One process after the other, in the drawn order.
    Alternating,
    /// All for each request, the drawn order turning.
    Together,
    /// One after the other, the baseline always first.
    BaselineFirst,
}

impl Turns {
    fn method(self) -> &'static str {
        match self {
            Self::Alternating => "student, blocks of 12, alternating",
            Self::Together => "student, blocks of 12, together",
            Self::BaselineFirst => "student, blocks of 12, baseline first",
        }
    }

    /// Who is asked which pair, in order, of so many processes of which the first is the baseline.
    fn order(self, processes: usize, stream: &mut Stream) -> Vec<(usize, usize)> {
        let mut order: Vec<usize> = (0..processes).collect();
        match self {
            Self::BaselineFirst => stream.shuffle(&mut order[1..]),
            Self::Alternating | Self::Together => stream.shuffle(&mut order),
        }
        if self != Self::Together {
            return order.iter().flat_map(|&process| (0..PAIRS).map(move |pair| (process, pair))).collect();
        }
        let turned = |pair: usize| {
            let mut turned = order.clone();
            turned.rotate_left(pair % processes);
            if pair % 2 == 1 {
                turned.reverse();
            }
            turned.into_iter().map(move |process| (process, pair))
        };
        (0..PAIRS).flat_map(turned).collect()
    }
}

/// Mean log ratios by round of every candidate, and last of the control, all as fast as the baseline.
fn draw(generator: Generator, turns: Turns, stream: &mut Stream) -> Vec<Vec<f64>> {
    let blocks = CANDIDATES.div_ceil(BLOCK);
    // Every block has a baseline and a control of its own.
    let processes: usize = [CANDIDATES, blocks, blocks].into_iter().sum();
    let requests = (ROUNDS * processes * PAIRS) as f64;
    let mut asked = 0.0;
    let mut means = vec![Vec::new(); CANDIDATES + 1];
    for _ in 0..ROUNDS {
        let mut left: Vec<usize> = (0..CANDIDATES).collect();
        stream.shuffle(&mut left);
        let mut control = 0.0;
        for block in (1..=blocks).rev() {
            let members = left.split_off(left.len() - left.len().div_ceil(block));
            // The baseline, the control, the candidates.
            let processes = members.len() + 2;
            let mut state = State::new(generator, processes, stream);
            let mut sums = vec![0.0; processes];
            for (process, _) in turns.order(processes, stream) {
                sums[process] += state.request(process, asked / requests, stream);
                asked += 1.0;
            }
            let mean = |process: usize| (sums[process] - sums[0]) / PAIRS as f64;
            control += mean(1) / blocks as f64;
            for (place, candidate) in members.into_iter().enumerate() {
                means[candidate].push(mean(place + 2));
            }
        }
        means[CANDIDATES].push(control);
    }
    means
}

pub(super) fn all(repetitions: usize, seed: Seed) -> Vec<Row> {
    let mut rows = Vec::new();
    let plan = |check, turns: Turns, generator: Generator, repetitions| Plan {
        check,
        method: turns.method(),
        generator: generator.name(),
        sessions: ROUNDS,
        pairs: PAIRS,
        repetitions,
        seed,
    };
    let claims = |means: &[Vec<f64>]| {
        let p = |means: &Vec<f64>| student::interval(means, LEVEL).p_value;
        holm(&means.iter().filter_map(p).collect::<Vec<_>>()).iter().any(|p| *p <= 1.0 - LEVEL)
    };
    let few = one_in(4, repetitions);
    for generator in Generator::ALL {
        for turns in [Turns::Alternating, Turns::Together] {
            rows.push(plan("any claim among 21", turns, generator, few).run(
                None,
                Some(FALSE_CLAIMS),
                |stream| claims(&draw(generator, turns, stream)),
            ));
            rows.push(plan("coverage", turns, generator, few).run(
                Some(COVERAGE.0),
                Some(COVERAGE.1),
                |stream| {
                    let means = draw(generator, turns, stream);
                    let one = stream.below(CANDIDATES as u32) as usize;
                    student::interval(&means[one], LEVEL).covers(0.0)
                },
            ));
        }
    }
    for generator in [Generator::ProcessVariance, Generator::Drift, Generator::Autocorrelated] {
        let turns = Turns::Alternating;
        rows.push(plan("equals share a tier", turns, generator, one_in(20, repetitions)).run(
            Some(0.945),
            None,
            |stream| {
                let series =
                    |means: Vec<f64>| Series { keys: (0..means.len() as u32).collect(), means, blur: 0.0 };
                let series: Vec<Series> = draw(generator, turns, stream).into_iter().map(series).collect();
                let ranks = Ranks::of(&series, LEVEL, None);
                ranks.sets.iter().all(|set| *set == (1, CANDIDATES as u32 + 1))
            },
        ));
    }
    // Why the baseline's turn is drawn, too.
    let (turns, generator) = (Turns::BaselineFirst, Generator::Drift);
    rows.push(
        plan("any claim among 21", turns, generator, few)
            .run(None, None, |stream| claims(&draw(generator, turns, stream))),
    );
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means of many contests by candidate, the control's last.
    fn many(generator: Generator, turns: Turns) -> Vec<Vec<f64>> {
        let mut all = vec![Vec::new(); CANDIDATES + 1];
        for contest in 0..200 {
            let drawn = draw(generator, turns, &mut Seed::of("blocks").stream(contest));
            all.iter_mut().zip(drawn).for_each(|(all, means)| all.extend(means));
        }
        all
    }

    #[test]
    fn means_spread_as_the_kinds_say_and_the_controls_over_both_blocks() {
        let all = many(Generator::LogNormal, Turns::Alternating);
        let spread =
            |means: &Vec<f64>| student::mean(&means.iter().map(|m| m * m).collect::<Vec<_>>()).sqrt();
        // √2·2%/√10; of the control the mean of two.
        let expected = 0.02 * (2.0 / PAIRS as f64).sqrt();
        for (candidate, means) in all.iter().enumerate() {
            let expected = if candidate == CANDIDATES { expected / 2_f64.sqrt() } else { expected };
            assert!(means.len() == 200 * ROUNDS && (spread(means) / expected - 1.0).abs() < 0.1);
        }
    }

    #[test]
    fn who_is_asked_after_the_baseline_while_the_device_slows_is_slower_by_the_way_between_them() {
        for (turns, expected) in
            [(Turns::BaselineFirst, 0.5), (Turns::Alternating, 0.0), (Turns::Together, 0.0)]
        {
            // By 1% over all rounds, two blocks of 12 processes each.
            let block = 0.01 / (2 * ROUNDS) as f64;
            for means in many(Generator::Drift, turns) {
                let found = student::mean(&means) / block;
                assert!((found - expected).abs() < 0.12, "{turns:?}: {found}");
            }
        }
    }
    #[test]
    fn turns_are_called_by_their_names() {
        let of = [Turns::Alternating, Turns::Together, Turns::BaselineFirst].map(Turns::method);
        assert_eq!(
            of,
            ["alternating", "together", "baseline first"]
                .map(|turns| format!("student, blocks of 12, {turns}"))
        );
    }

    /// Who has the first turn in many drawn orders of four processes, after a look at each order.
    fn first(turns: Turns, look: impl Fn(&[(usize, usize)])) -> Vec<usize> {
        let mut first: Vec<usize> = (0..100)
            .map(|contest| {
                let order = turns.order(4, &mut Seed::of("order").stream(contest));
                let mut all = order.clone();
                all.sort_unstable();
                let each = (0..4).flat_map(|process| (0..PAIRS).map(move |pair| (process, pair)));
                assert!(all.into_iter().eq(each), "each is asked each pair once");
                look(&order);
                order[0].0
            })
            .collect();
        first.sort_unstable();
        first.dedup();
        first
    }

    #[test]
    fn processes_take_turns_one_after_the_other_or_all_for_each_request() {
        let one_by_one = |order: &[(usize, usize)]| {
            for turn in order.chunks(PAIRS) {
                assert!(turn.iter().copied().eq((0..PAIRS).map(|pair| (turn[0].0, pair))), "{turn:?}");
            }
        };
        assert_eq!(first(Turns::Alternating, one_by_one), [0, 1, 2, 3]);
        assert_eq!(first(Turns::BaselineFirst, one_by_one), [0]);
        let all_for_each = |order: &[(usize, usize)]| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|turn| order[turn].0);
            let turned = [[a, b, c, d], [a, d, c, b], [c, d, a, b], [c, b, a, d]];
            for (pair, turn) in order.chunks(4).enumerate() {
                assert!(turn.iter().copied().eq(turned[pair % 4].map(|process| (process, pair))), "{pair}");
            }
        };
        assert_eq!(first(Turns::Together, all_for_each), [0, 1, 2, 3]);
    }
}
