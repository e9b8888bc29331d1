//! Bootstrap over sessions: percentile and BCa intervals of a mean.
//!
//! The resampling unit is the session, since sessions are what is independent. All series of one
//! length share one table of draws, so that many candidates cost little more than one, and each
//! block of the table has its own random stream, so that no thread count changes a bit.
//!
//! With few sessions both are too narrow (see METHODOLOGY); Student's t is the default.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::student::mean;
use super::summary::{Method, Summary};
use crate::random::Seed;

/// Resamples drawn from one random stream.
const BLOCK: usize = 250;

/// Series that are added up side by side.
const LANES: usize = 8;

/// The i-th values of up to [`LANES`] series together.
fn side_by_side(group: &[&[f64]], n: usize) -> Vec<[f64; LANES]> {
    let lane = |i: usize| std::array::from_fn(|lane| group.get(lane).map_or(0.0, |values| values[i]));
    (0..n).map(lane).collect()
}

/// Row by row the drawn indices, `n` of each resample. Each row is sorted: a resample that is a mere
/// permutation of the data then adds up to exactly the data's mean, and counts as a tie, not as
/// above or below.
fn draw_rows(resamples: usize, n: usize, seed: Seed) -> Vec<u32> {
    let seed = seed.purpose("bootstrap");
    let mut draws = vec![0; resamples * n];
    draws.par_chunks_mut((BLOCK * n).max(1)).enumerate().for_each(|(block, draws)| {
        let mut stream = seed.stream(block as u64);
        draws.iter_mut().for_each(|draw| *draw = stream.below(n as u32));
        draws.chunks_exact_mut(n.max(1)).for_each(<[u32]>::sort_unstable);
    });
    draws
}

/// The means of each row of draws, lane after lane. Each lane adds in the order of the row, as if
/// it were alone.
fn row_means(values: &[[f64; LANES]], draws: &[u32], means: &mut [f64]) {
    let n = values.len().max(1);
    let rows = draws.len() / n;
    for (at, row) in draws.chunks_exact(n).enumerate() {
        let mut sums = [0.0; LANES];
        for &index in row {
            let drawn = &values[index as usize];
            sums.iter_mut().zip(drawn).for_each(|(sum, value)| *sum += value);
        }
        for (lane, sum) in sums.into_iter().enumerate() {
            means[lane * rows + at] = sum / n as f64;
        }
    }
}

/// The percentile or BCa interval of each series' mean, at two-sided `level`.
///
/// `method` is [`Method::Bca`] or [`Method::Percentile`]; any other is taken as percentile.
/// Series may differ in length. A series of one value, or without a spread, gets a point without an interval.
pub fn intervals(
    series: &[&[f64]],
    method: Method,
    level: f64,
    resamples: usize,
    seed: Seed,
) -> Vec<Summary> {
    let mut lengths: Vec<usize> = series.iter().map(|values| values.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut summaries: Vec<Option<Summary>> = vec![None; series.len()];
    for length in lengths {
        let members: Vec<usize> = (0..series.len()).filter(|&i| series[i].len() == length).collect();
        let resamples = if length < 2 { 0 } else { resamples };
        let draws = draw_rows(resamples, length, seed);
        let summarise_group = |members: &[usize]| -> Vec<Summary> {
            let group: Vec<&[f64]> = members.iter().map(|&i| series[i]).collect();
            let mut means = vec![0.0; LANES * resamples];
            row_means(&side_by_side(&group, length), &draws, &mut means);
            let lane = |(lane, values): (usize, &&[f64])| {
                summarise(values, &mut means[lane * resamples..][..resamples], method, level)
            };
            group.iter().enumerate().map(lane).collect()
        };
        let found: Vec<Summary> = members.par_chunks(LANES).flat_map_iter(summarise_group).collect();
        members.into_iter().zip(found).for_each(|(i, summary)| summaries[i] = Some(summary));
    }
    summaries.into_iter().flatten().collect()
}

fn summarise(values: &[f64], means: &mut [f64], method: Method, level: f64) -> Summary {
    let (point, n) = (mean(values), values.len());
    if means.is_empty() {
        return Summary::bare(point, level, n, method);
    }
    if !super::student::varies(values) {
        return Summary::bare(point, level, n, method);
    }
    let shape = if method == Method::Bca { Shape::bca(values, means) } else { Shape::PLAIN };
    let normal = Normal::standard();
    let alpha = (1.0 - level) / 2.0;
    let share = share_below(means, 0.0);
    // Never smaller than the bootstrap can resolve.
    let floor = 1.0 / (means.len() as f64 + 1.0);
    let tail = shape.inverse(normal.inverse_cdf(share.clamp(floor, 1.0 - floor)));
    let p_value = (2.0 * normal.cdf(-tail.abs())).min(1.0);
    Summary {
        point,
        lower: Some(quantile(means, normal.cdf(shape.forward(normal.inverse_cdf(alpha))))),
        upper: Some(quantile(means, normal.cdf(shape.forward(-normal.inverse_cdf(alpha))))),
        p_value: Some(p_value),
        level,
        n,
        method,
    }
}

/// Bias correction and acceleration (Efron 1987).
#[derive(Clone, Copy)]
struct Shape {
    bias: f64,
    acceleration: f64,
}

impl Shape {
    const PLAIN: Self = Self { bias: 0.0, acceleration: 0.0 };

    fn bca(values: &[f64], means: &[f64]) -> Self {
        let floor = 0.5 / means.len() as f64;
        let share = share_below(means, mean(values)).clamp(floor, 1.0 - floor);
        // Jackknife deviations of a mean are proportional to the values' own deviations.
        let centre = mean(values);
        let (mut squares, mut cubes) = (0.0, 0.0);
        for value in values {
            let deviation = value - centre;
            squares += deviation.powi(2);
            cubes += deviation.powi(3);
        }
        Self { bias: Normal::standard().inverse_cdf(share), acceleration: cubes / (6.0 * squares.powf(1.5)) }
    }

    /// From a normal deviate to the one whose percentile is the corrected endpoint.
    fn forward(self, z: f64) -> f64 {
        let shifted = self.bias + z;
        self.bias + shifted / (1.0 - self.acceleration * shifted)
    }

    /// The inverse of `forward`: which interval just touches a given percentile.
    fn inverse(self, z: f64) -> f64 {
        let shifted = z - self.bias;
        shifted / (1.0 + self.acceleration * shifted) - self.bias
    }
}

/// The share of `means` below `value`, ties counted half.
fn share_below(means: &[f64], value: f64) -> f64 {
    let (mut below, mut equal) = (0usize, 0usize);
    for mean in means {
        below += usize::from(*mean < value);
        equal += usize::from(*mean == value);
    }
    (below as f64 + equal as f64 / 2.0) / means.len() as f64
}

/// The linearly interpolated quantile (type 7 of Hyndman & Fan), reordering `values`.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    let position = q.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let index = position as usize;
    let (_, &mut low, above) = values.select_nth_unstable_by(index, f64::total_cmp);
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    let fraction = position - index as f64;
    if fraction == 0.0 { low } else { low + fraction * (high - low) }
}

#[cfg(test)]
mod tests {
    use super::super::known::{A, B, assert_close};
    use super::*;

    fn one(values: &[f64], method: Method, level: f64) -> Summary {
        intervals(&[values], method, level, 100_000, Seed::of("test"))[0]
    }

    #[test]
    fn agrees_with_scipy_within_monte_carlo_error() {
        // scipy 1.17.1: bootstrap((x,), np.mean, n_resamples=100_000, method=...), the mean over
        // ten generators; their standard deviation was at most 3.7e-5 (A) and 8.4e-4 (B, discrete)
        for (values, method, lower, upper, within) in [
            (&A[..], Method::Bca, 0.006080378980633417, 0.016282418456643098, 1.5e-4),
            (&A[..], Method::Percentile, 0.00632490625, 0.01645753125, 1.5e-4),
            (&B[..], Method::Bca, -4e-5, 0.035, 1.7e-3),
            (&B[..], Method::Percentile, 8.8e-4, 0.0358, 1.7e-3),
        ] {
            let found = one(values, method, 0.95);
            assert!((found.lower.unwrap() - lower).abs() < within, "{found:?}");
            assert!((found.upper.unwrap() - upper).abs() < within, "{found:?}");
            assert_close(found.point, mean(values));
        }
    }

    #[test]
    fn the_interval_at_the_p_value_just_touches_zero() {
        for method in [Method::Bca, Method::Percentile] {
            let p = one(&B, method, 0.95).p_value.unwrap();
            let touching = one(&B, method, 1.0 - p);
            assert!(touching.lower.unwrap().abs() < 1e-3, "{method} {touching:?}");
        }
    }

    #[test]
    fn no_thread_count_changes_a_bit() {
        let long: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17) * 0.001 - 0.003).collect();
        let series: Vec<&[f64]> = vec![&A, &B, &A, &long];
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| intervals(&series, Method::Bca, 0.95, 3_333, Seed::of("threads")))
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(7));
        assert_eq!(run(1)[0], run(1)[2]);
    }

    #[test]
    fn degenerate_series_get_clear_answers() {
        let series: [&[f64]; 3] = [&[0.2], &[0.1, 0.1, 0.1], &[0.0, 0.0]];
        let found = intervals(&series, Method::Bca, 0.95, 1000, Seed::of("x"));
        // Of one value, or without a spread: a point, and nothing that a claim could rest on.
        for (summary, point) in found.iter().zip([0.2, 0.1, 0.0]) {
            assert!((summary.point - point).abs() < 1e-15);
            assert_eq!((summary.lower, summary.upper, summary.p_value), (None, None, None));
        }
    }
}
