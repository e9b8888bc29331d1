//! Quantiles with order-statistic intervals: exact for any continuous distribution of
//! independent values, since the number of values below a quantile is binomial.

use statrs::distribution::{Binomial, DiscreteCDF};

/// A quantile with its interval; a bound that `n` cannot give is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The sample quantile (type 7 of Hyndman & Fan, as numpy's default).
    pub point: f64,
    /// Lower bound.
    pub lower: Option<f64>,
    /// Upper bound.
    pub upper: Option<f64>,
}

/// Finite values in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Sorts the values.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// The values, smallest first.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The linearly interpolated quantile; `None` of no values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        let position = q.clamp(0.0, 1.0) * last as f64;
        let (low, fraction) = (position as usize, position.fract());
        let high = (low + 1).min(last);
        Some(self.0[low] + fraction * (self.0[high] - self.0[low]))
    }

    /// The quantile with a two-sided interval of at least `level`.
    pub fn interval(&self, q: f64, level: f64) -> Option<Quantile> {
        let tail = (1.0 - level) / 2.0;
        Some(Quantile {
            point: self.quantile(q)?,
            lower: self.lower_bound(q, 1.0 - tail),
            upper: self.upper_bound(q, 1.0 - tail),
        })
    }

    /// One-sided lower bound of the `q` quantile: the largest order statistic X(k) with
    /// P(at most k − 1 of n values below the quantile) ≤ 1 − level.
    pub fn lower_bound(&self, q: f64, level: f64) -> Option<f64> {
        let binomial = Binomial::new(q, self.0.len() as u64).ok()?;
        // cdf grows with k: the number of k with cdf(k − 1) ≤ 1 − level.
        let k = partition(self.0.len(), |k| binomial.cdf(k as u64) <= 1.0 - level + TIE);
        Some(*self.0.get(k.checked_sub(1)?)?)
    }

    /// One-sided upper bound of the `q` quantile.
    pub fn upper_bound(&self, q: f64, level: f64) -> Option<f64> {
        let binomial = Binomial::new(q, self.0.len() as u64).ok()?;
        // The smallest k with P(at least k below) ≤ 1 − level.
        let k = partition(self.0.len(), |k| binomial.sf(k as u64) > 1.0 - level + TIE);
        self.0.get(k).copied()
    }
}

/// Rounding of the binomial distribution, so that an exact tie counts as one.
const TIE: f64 = 1e-12;

/// The first index in `0..n` where a monotone test fails.
fn partition(n: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = (low + high) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(n: u32) -> Sorted {
        Sorted::new((1..=n).rev().map(f64::from).collect())
    }

    #[test]
    fn order_statistics_agree_with_the_binomial() {
        // scipy 1.17.1: the largest k with binom.cdf(k - 1, n, q) <= .025, the smallest with
        // 1 - binom.cdf(k - 1, n, q) <= .025; numpy.quantile(arange(1, n + 1), q)
        for (n, q, point, lower, upper) in [
            (35, 0.5, 18.0, Some(12.0), Some(24.0)),
            (35, 0.9, 31.6, Some(28.0), None),
            (280, 0.99, 277.21, Some(274.0), None),
            (100, 0.9, 90.1, Some(84.0), Some(96.0)),
        ] {
            let found = ranks(n).interval(q, 0.95).unwrap();
            assert!((found.point - point).abs() < 1e-9);
            assert_eq!((found.lower, found.upper), (lower, upper), "{n} {q}");
        }
    }

    #[test]
    fn a_low_quantile_needs_enough_values() {
        // scipy 1.17.1: the largest k with binom.sf(k - 1, n, .05) >= .95
        for (n, expected) in [(35, None), (58, None), (59, Some(1.0)), (93, Some(2.0)), (200, Some(5.0))] {
            assert_eq!(ranks(n).lower_bound(0.05, 0.95), expected, "{n}");
        }
    }

    #[test]
    fn one_value_and_none() {
        let one = Sorted::new(vec![3.0]).interval(0.5, 0.95).unwrap();
        assert_eq!((one.point, one.lower, one.upper), (3.0, None, None));
        assert_eq!(Sorted::new(Vec::new()).interval(0.5, 0.95), None);
    }
}
