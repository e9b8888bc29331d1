//! Hodges–Lehmann shift and its Wilcoxon signed-rank interval and p-value.
//!
//! Assumes a distribution symmetric about the shift; keeps its width under outliers. With fewer
//! than six values no 95% interval exists (2·2⁻⁵ > 0.05): the bounds are then `None`.
//! Walsh averages are never stored: their order statistics are found by counting.

use statrs::distribution::{ContinuousCDF, Normal};

use super::summary::{Method, Summary};

/// Up to this many values the null distribution is exact, as in R's `wilcox.test`.
pub const EXACT_UP_TO: usize = 50;

/// The shift, the widest-needed interval and the signed-rank p-value.
///
/// The interval is `[W(k), W(M+1−k)]` of the M Walsh averages, with the largest k whose tail
/// probability is at most (1 − level)/2, so it covers at least `level`. Walsh averages equal to
/// zero count against the claim, which keeps p and interval consistent under ties.
pub fn interval(values: &[f64], level: f64) -> Summary {
    let n = values.len();
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let pairs = n * (n + 1) / 2;
    if n == 0 {
        return Summary::bare(f64::NAN, level, n, Method::HodgesLehmann);
    }
    let point = (walsh(&sorted, pairs.div_ceil(2)) + walsh(&sorted, pairs / 2 + 1)) / 2.0;
    let null = Null::of(n);
    let positive = pairs - count_walsh(&sorted, |average| average <= 0.0);
    let negative = count_walsh(&sorted, |average| average < 0.0);
    // P(V ≥ v) = P(V ≤ M − v) by symmetry.
    let tail = null.at_most(pairs - positive).min(null.at_most(pairs - negative));
    let alpha = (1.0 - level) / 2.0;
    // The number of k ≥ 1 with P(V ≤ k − 1) ≤ alpha; monotone, hence bisection.
    let (mut low, mut high) = (0, pairs / 2 + 1);
    while low < high {
        let middle = (low + high) / 2;
        if null.at_most(middle) <= alpha { low = middle + 1 } else { high = middle }
    }
    let bound = |k: usize| (low > 0).then(|| walsh(&sorted, k));
    Summary {
        point,
        lower: bound(low),
        upper: bound(pairs + 1 - low.max(1)),
        p_value: Some((2.0 * tail).min(1.0)),
        level,
        n,
        method: Method::HodgesLehmann,
    }
}

/// How many values an interval at `level` needs: with fewer, even the least sum of ranks, of probability 2⁻ⁿ, is above a tail of
/// (1 − level)/2.
pub fn least(level: f64) -> usize {
    (2.0 / (1.0 - level)).log2().ceil() as usize
}

/// The null distribution of the signed-rank sum V of `n` values.
enum Null {
    /// Cumulative probabilities of 0, 1, ….
    Exact(Vec<f64>),
    /// Normal with continuity correction.
    Normal { mean: f64, deviation: f64 },
}

impl Null {
    fn of(n: usize) -> Self {
        let pairs = n * (n + 1) / 2;
        if n > EXACT_UP_TO {
            let size = n as f64;
            let variance = size * (size + 1.0) * (2.0 * size + 1.0) / 24.0;
            return Self::Normal { mean: pairs as f64 / 2.0, deviation: variance.sqrt() };
        }
        // Each rank is in the sum or not, with probability one half.
        let mut mass = vec![0.0; pairs + 1];
        mass[0] = 1.0;
        for rank in 1..=n {
            for sum in (0..=rank * (rank + 1) / 2).rev() {
                let with = if sum >= rank { mass[sum - rank] } else { 0.0 };
                mass[sum] = 0.5 * (mass[sum] + with);
            }
        }
        let mut total = 0.0;
        mass.iter_mut().for_each(|cell| {
            total += *cell;
            *cell = total;
        });
        Self::Exact(mass)
    }

    /// P(V ≤ v).
    fn at_most(&self, v: usize) -> f64 {
        match self {
            Self::Exact(cumulative) => cumulative[v.min(cumulative.len() - 1)],
            Self::Normal { mean, deviation } => Normal::standard().cdf((v as f64 + 0.5 - mean) / deviation),
        }
    }
}

/// The number of Walsh averages (i ≤ j) of sorted values that satisfy a downward closed test.
fn count_walsh(sorted: &[f64], holds: impl Fn(f64) -> bool) -> usize {
    let mut count = 0;
    let mut end = sorted.len();
    for (i, low) in sorted.iter().enumerate() {
        while end > i && !holds((low + sorted[end - 1]) / 2.0) {
            end -= 1;
        }
        if end <= i {
            break;
        }
        count += end - i;
    }
    count
}

/// The `k`-th smallest Walsh average (k from 1): bisection over the floating-point numbers
/// themselves, so the answer is exact.
fn walsh(sorted: &[f64], k: usize) -> f64 {
    let (mut low, mut high) = (key(sorted[0]), key(sorted[sorted.len() - 1]));
    while low < high {
        let middle = low + (high - low) / 2;
        if count_walsh(sorted, |average| average <= value(middle)) >= k {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    value(low)
}

/// An order-preserving map from floats to integers, and back.
fn key(value: f64) -> u64 {
    // −0 and 0 are the same number.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::super::known::{A, B, assert_close};
    use super::*;

    #[test]
    fn the_least_number_of_values_with_an_interval_has_one_and_one_less_has_none() {
        for (level, expected) in [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8), (0.9999, 15)] {
            assert_eq!(least(level), expected, "{level}");
            let values: Vec<f64> = (0..expected).map(|n| n as f64).collect();
            assert!(interval(&values, level).lower.is_some(), "{level}");
            assert!(interval(&values[1..], level).lower.is_none(), "{level}");
        }
    }

    #[test]
    fn small_samples_agree_with_scipy_and_enumeration() {
        // p: scipy 1.17.1 wilcoxon(A, method="exact"); shift and interval: numpy median and order
        // statistics of all Walsh averages, k from the enumeration of all 2^n sign patterns
        let found = interval(&A, 0.95);
        assert_close(found.p_value.unwrap(), 0.015625);
        assert_close(found.point, 0.011475);
        assert_close(found.lower.unwrap(), 0.0043);
        assert_close(found.upper.unwrap(), 0.0187);
        let found = interval(&A, 0.9);
        assert_close(found.lower.unwrap(), 0.00515);
        assert_close(found.upper.unwrap(), 0.01695);
        let found = interval(&B, 0.9);
        assert_close(found.p_value.unwrap(), 0.1875);
        assert_close(found.point, 0.0195);
        assert_eq!((found.lower, found.upper), (Some(-0.012), Some(0.045)));
        assert_eq!(interval(&B, 0.95).lower, None, "no 95% interval of five values");
    }

    #[test]
    fn agrees_with_the_example_of_r() {
        // R, ?wilcox.test, Hollander & Wolfe's depression data, paired, alternative "greater":
        // V = 40, p-value = 0.01953; one-sided p is half of ours. Shift −0.46.
        let x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        #[allow(clippy::approx_constant, reason = "a published data set")]
        let y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let d: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - x).collect();
        let found = interval(&d, 0.95);
        assert_close(found.p_value.unwrap() / 2.0, 0.01953125);
        assert_close(found.point, -0.46);
    }

    #[test]
    fn large_samples_use_the_normal_distribution_with_continuity_correction() {
        // scipy 1.17.1: x = [i * sqrt(2) % 1 - .45 for i in range(1, 61)]
        // wilcoxon(x, method="approx", correction=True).pvalue
        let x: Vec<f64> = (1..=60).map(|i| (f64::from(i) * 2f64.sqrt()) % 1.0 - 0.45).collect();
        let found = interval(&x, 0.95);
        assert_close(found.p_value.unwrap(), 0.20942311044040607);
        assert_close(found.point, 0.04747468305833211);
    }

    #[test]
    fn order_statistics_match_the_sorted_walsh_averages() {
        let mut sorted: Vec<f64> = (0..23).map(|i| f64::from(i * 7 % 23) - 11.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut all: Vec<f64> = (0..23)
            .flat_map(|i| (i..23).map(move |j| (i, j)))
            .map(|(i, j)| (sorted[i] + sorted[j]) / 2.0)
            .collect();
        all.sort_unstable_by(f64::total_cmp);
        for (index, &expected) in all.iter().enumerate() {
            assert_eq!(walsh(&sorted, index + 1), expected);
        }
    }

    #[test]
    fn p_and_interval_never_contradict() {
        for shift in [-0.02, -0.0115, -0.008, -0.0043, 0.0, 0.004] {
            let values: Vec<f64> = A.iter().map(|a| a + shift).collect();
            let found = interval(&values, 0.95);
            assert_eq!(found.p_value.unwrap() <= 0.05, !found.covers(0.0), "{shift}");
        }
    }
}
