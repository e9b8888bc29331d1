//! Who is faster than whom: confidence sets for ranks, tiers of ties, probability of being best.

use rayon::prelude::*;

use super::pairwise::{Series, compare};
use super::proofs::Proofs;
use crate::estimators::student;
use crate::random::Seed;

/// Simulated draws for [`Ranks::p_best`].
const DRAWS: usize = 10_000;
/// Draws per random stream.
const BLOCK: usize = 500;

/// The order of several candidates, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// For each candidate the best and the worst rank that cannot be excluded, from 1.
    pub sets: Vec<(u32, u32)>,
    /// Tier of each candidate, 1 the fastest; candidates in one tier may be equal.
    pub tiers: Vec<u32>,
    proofs: Proofs,
}

impl Ranks {
    /// Ranks candidates by their mean log ratio, smallest first; `last`: the most rounds, where
    /// candidates might have been ended before for what they showed.
    ///
    /// All pairs are compared, the error adjusted over all of them: with probability `level`
    /// or more no claim "faster than" is false. Then every rank set contains its true rank, and
    /// no two equal candidates are in different tiers.
    pub fn of(series: &[Series], level: f64, last: Option<usize>) -> Self {
        let proofs = Proofs::of(series.len(), level, last, |a, b| compare(&series[a], &series[b]));
        Self { sets: proofs.rank_sets(), tiers: proofs.tiers(&by_speed(series)), proofs }
    }

    /// Probability of being the fastest, among those who can be: who is proven slower than another
    /// has none. `None` for all where any has fewer than two sessions.
    ///
    /// How often each candidate comes first when the means are drawn from their fiducial
    /// distribution: multivariate t, centred on the estimates, with the sessions' own covariance.
    ///
    /// Each session gets a normal multiplier that all candidates measured in it share, so that what
    /// they have in common stays common. (A plain bootstrap of five sessions is far too sure.)
    pub fn p_best(&self, series: &[Series], seed: Seed) -> Vec<Option<f64>> {
        let possible: Vec<bool> = (0..series.len()).map(|one| self.proofs.can_be_first(one)).collect();
        p_best(series, &possible, seed)
    }
}

/// Indices from the smallest mean log ratio to the largest; ties in the order given.
pub fn by_speed(series: &[Series]) -> Vec<usize> {
    let means: Vec<f64> = series.iter().map(Series::mean).collect();
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    order
}

fn p_best(series: &[Series], possible: &[bool], seed: Seed) -> Vec<Option<f64>> {
    if series.is_empty() || series.iter().any(|s| !student::varies(&s.means) || s.blur.is_infinite()) {
        return vec![None; series.len()];
    }
    let sessions = series.iter().flat_map(|s| s.keys.iter().copied()).max().map_or(0, |k| k + 1);
    // Candidates with the same sessions share the χ² draw too.
    let mut groups: Vec<&[u32]> = series.iter().map(|s| s.keys.as_slice()).collect();
    groups.sort_unstable();
    groups.dedup();
    let group_of: Vec<usize> =
        series.iter().map(|s| groups.partition_point(|g| *g < s.keys.as_slice())).collect();
    let centred: Vec<(f64, Vec<f64>)> = series
        .iter()
        .map(|s| {
            let (n, mean) = (s.means.len() as f64, s.mean());
            let scale = (n * (n - 1.0)).sqrt();
            (mean, s.means.iter().map(|m| (m - mean) / scale).collect())
        })
        .collect();
    let seed = seed.purpose("probability of being best");
    let blocks: Vec<Vec<u32>> = (0..DRAWS / BLOCK)
        .into_par_iter()
        .map(|block| {
            let mut stream = seed.stream(block as u64);
            let mut wins = vec![0; series.len()];
            let mut weights = vec![0.0; sessions as usize];
            let mut stretch = vec![0.0; groups.len()];
            for _ in 0..BLOCK {
                weights.iter_mut().for_each(|weight| *weight = stream.normal());
                for (value, group) in stretch.iter_mut().zip(&groups) {
                    let freedom = group.len() - 1;
                    *value = (freedom as f64 / stream.chi_squared(freedom)).sqrt();
                }
                let drawn = |k: usize| {
                    let (mean, deviations) = &centred[k];
                    let pairs = series[k].keys.iter().zip(deviations);
                    let sum: f64 = pairs.map(|(&key, d)| weights[key as usize] * d).sum();
                    mean + stretch[group_of[k]] * sum
                };
                let best = (0..series.len())
                    .filter(|&k| possible[k])
                    .map(|k| (k, drawn(k)))
                    .min_by(|a, b| a.1.total_cmp(&b.1));
                if let Some((winner, _)) = best {
                    wins[winner] += 1;
                }
            }
            wins
        })
        .collect();
    (0..series.len())
        .map(|k| Some(f64::from(blocks.iter().map(|wins| wins[k]).sum::<u32>()) / DRAWS as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sessions` sessions of each candidate; `together`: all in the same ones.
    fn draw(shifts: &[f64], sessions: u32, together: bool, path: u64) -> Vec<Series> {
        let mut stream = Seed::of("ranks").stream(path);
        let baseline: Vec<f64> = (0..sessions).map(|_| 0.004 * stream.normal()).collect();
        shifts
            .iter()
            .enumerate()
            .map(|(k, shift)| {
                let start = if together { 0 } else { k as u32 * sessions };
                let means = baseline.iter().map(|common| {
                    let common = if together { *common } else { 0.0 };
                    shift + common + 0.003 * stream.normal()
                });
                Series { keys: (start..start + sessions).collect(), means: means.collect(), blur: 0.0 }
            })
            .collect()
    }

    #[test]
    fn clear_differences_are_ranked_and_ties_share() {
        let series = draw(&[-0.5, -0.2, -0.2, 0.3], 8, false, 1);
        let ranks = Ranks::of(&series, 0.95, None);
        assert_eq!(ranks.sets, [(1, 1), (2, 3), (2, 3), (4, 4)]);
        assert_eq!(ranks.tiers, [1, 2, 2, 3]);
        assert_eq!(ranks.p_best(&series, Seed::of("x"))[0], Some(1.0));
    }

    #[test]
    fn error_is_controlled_over_all_pairs() {
        // Two groups of equals 1% apart: middling power, so that rules that cut at the first
        // proven pair would separate equals.
        let shifts = [-0.01, -0.01, -0.01, 0.0, 0.0, 0.0];
        for together in [false, true] {
            let (mut split, mut wrong_rank) = (0, 0);
            for path in 0..1500 {
                let ranks = Ranks::of(&draw(&shifts, 5, together, path), 0.95, None);
                split += u32::from(ranks.tiers[..3].iter().any(|t| *t != ranks.tiers[0]));
                split += u32::from(ranks.tiers[3..].iter().any(|t| *t != ranks.tiers[3]));
                wrong_rank += u32::from(ranks.sets[..3].iter().any(|s| s.0 > 1 || s.1 < 3));
                wrong_rank += u32::from(ranks.sets[3..].iter().any(|s| s.0 > 4 || s.1 < 6));
            }
            assert!(split <= 82 && wrong_rank <= 82, "{split} {wrong_rank} of 1500");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_are_even_among_equals() {
        let mean: Vec<f64> = (0..200)
            .map(|path| p_best(&draw(&[0.0; 4], 5, true, path), &[true; 4], Seed::of("x")))
            .fold(vec![0.0; 4], |sum, found| {
                let p: Vec<f64> = found.iter().map(|p| p.unwrap()).collect();
                assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                sum.iter().zip(p).map(|(a, b)| a + b / 200.0).collect()
            });
        assert!(mean.iter().all(|p| (p - 0.25).abs() < 0.06), "{mean:?}");
    }

    #[test]
    fn too_little_data_proves_nothing() {
        let series = draw(&[-0.5, 0.5], 1, true, 0);
        let ranks = Ranks::of(&series, 0.95, None);
        assert_eq!(ranks.p_best(&series, Seed::of("x")), [None, None]);
        assert_eq!((ranks.sets, ranks.tiers), (vec![(1, 2), (1, 2)], vec![1, 1]));
        assert!(Ranks::of(&[], 0.95, None).tiers.is_empty());
    }

    /// In common sessions the difference of two is drawn from t: with two degrees of freedom at most `t` with probability
    /// (1 + t/√(t² + 2))/2. In sessions of their own it is not, and the draws are those of the seed.
    #[test]
    fn who_is_first_is_drawn_from_what_the_sessions_say() {
        let series = |start: u32, means: &[f64]| Series {
            keys: (start..).take(means.len()).collect(),
            means: means.to_vec(),
            blur: 0.0,
        };
        let found = |series: &[Series]| {
            let found = p_best(series, &vec![true; series.len()], Seed::of("x"));
            found.into_iter().map(Option::unwrap).collect::<Vec<_>>()
        };
        // The differences are 0, 1 and 2: their mean is √3 standard errors.
        let common = [series(0, &[1.0, 2.0, 3.0]), series(0, &[1.0, 3.0, 5.0])];
        let expected = (1.0 + 3_f64.sqrt() / 5_f64.sqrt()) / 2.0;
        let first = found(&common);
        assert!((first[0] - expected).abs() < 0.012, "{first:?} instead of {expected}");
        assert_eq!(first, [0.8885, 0.1115]);
        let own = [series(0, &[1.0, 2.0, 3.0]), series(3, &[1.5, 2.0, 3.0, 2.5]), series(1, &[2.0, 1.0])];
        assert_eq!(found(&own), [0.3251, 0.0763, 0.5986]);
        let mut coarse = common;
        coarse[1].blur = f64::INFINITY;
        assert_eq!(p_best(&coarse, &[true; 2], Seed::of("x")), [None, None]);
    }
}
