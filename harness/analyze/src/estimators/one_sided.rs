//! One-sided bounds of the mean of a skewed quantity, as similarities are: most pairs are alike,
//! a few are not, and the plain t bound then passes a gate too easily.
//!
//! The t quantile is widened by the first term of the Edgeworth expansion of Student's t,
//! −γ(2t² + 1)/(6√n) with γ the sample skewness (Hall 1992, §3.3; the idea is Johnson's, 1978).
//! It is used only where it widens.

use super::student::{mean_and_error, one_sided_critical};

/// One-sided lower confidence bound of the mean; `None` with fewer than three values.
pub fn lower_bound(values: &[f64], level: f64) -> Option<f64> {
    if values.len() < 3 {
        return None;
    }
    let (mean, error) = mean_and_error(values)?;
    if error == 0.0 {
        return Some(mean);
    }
    let n = values.len() as f64;
    let t = one_sided_critical(1.0 - level, n - 1.0);
    let widening = (-skewness(values)).max(0.0) * (2.0 * t * t + 1.0) / (6.0 * n.sqrt());
    // With a handful of values the expansion means little; half the quantile is its limit.
    let widening = widening.min(t / 2.0);
    Some(mean - (t + widening) * error)
}

/// One-sided upper confidence bound of the mean; `None` with fewer than three values.
pub fn upper_bound(values: &[f64], level: f64) -> Option<f64> {
    let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
    lower_bound(&mirrored, level).map(|bound| -bound)
}

/// Sample skewness, adjusted for size (Fisher–Pearson G1); at least three values, not all equal.
fn skewness(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = super::student::mean(values);
    let moment = |power| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
    (n * (n - 1.0)).sqrt() / (n - 2.0) * moment(3) / moment(2).powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::super::known::{A, B, assert_close};
    use super::super::student;
    use super::*;

    #[test]
    fn skewness_agrees_with_scipy() {
        // scipy 1.17.1: skew(A, bias=False), skew(B, bias=False)
        assert_close(skewness(&A), -0.2926033899405158);
        assert_close(skewness(&B), -0.6140555539355433);
    }

    #[test]
    fn only_skewness_towards_the_bound_widens() {
        let left: Vec<f64> = (1..=40).map(|i| (f64::from(i) / 41.0).ln()).collect();
        let right: Vec<f64> = left.iter().map(|x| -x).collect();
        assert!(lower_bound(&left, 0.95) < student::lower_bound(&left, 0.95));
        assert_eq!(lower_bound(&right, 0.95), student::lower_bound(&right, 0.95));
        assert_eq!(upper_bound(&right, 0.95).map(|b| -b), lower_bound(&left, 0.95));
    }

    #[test]
    fn degenerate_data() {
        assert_eq!(lower_bound(&[1.0; 8], 0.95), Some(1.0));
        assert_eq!(lower_bound(&[0.5, 0.6], 0.95), None);
    }
}
