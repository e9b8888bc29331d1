//! Whether a process became slower or faster while it was measured.

use super::student::p_two_sided;

/// A trend is called one below this p-value: a contest has dozens of sessions.
const ALPHA: f64 = 0.001;
/// A change over the session smaller than this is of no interest, however certain.
const MIN_CHANGE: f64 = 0.005;

/// Relative change of latencies from the first to the last, where a straight line through their
/// logarithms proves one: least squares against the order, Student's t on the slope with n − 2
/// degrees of freedom (any textbook on regression; values of one session are taken as independent).
/// `None`: no trend, or fewer than 6 values.
pub fn drift(latencies: &[f64]) -> Option<f64> {
    let n = latencies.len();
    if n < 6 || latencies.iter().any(|value| !value.is_finite() || *value <= 0.0) {
        return None;
    }
    let count = n as f64;
    let middle = (count - 1.0) / 2.0;
    let logs: Vec<f64> = latencies.iter().map(|value| value.ln()).collect();
    let mean = logs.iter().sum::<f64>() / count;
    let at = |i: usize| i as f64 - middle;
    let spread: f64 = (0..n).map(|i| at(i) * at(i)).sum();
    let slope = logs.iter().enumerate().map(|(i, y)| at(i) * (y - mean)).sum::<f64>() / spread;
    let residual: f64 = logs.iter().enumerate().map(|(i, y)| (y - mean - slope * at(i)).powi(2)).sum();
    let error = (residual / (count - 2.0) / spread).sqrt();
    let change = (slope * (count - 1.0)).exp_m1();
    // No residual at all: a straight line, or nothing but one value.
    let proven = if error > 0.0 { p_two_sided(slope / error, count - 2.0) < ALPHA } else { slope != 0.0 };
    (proven && change.abs() >= MIN_CHANGE).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn a_slope_is_found_with_its_size() {
        // scipy 1.17.1: linregress(arange(8), log([100, 101, 101.5, 103, 103.5, 105, 105.5, 107]))
        // slope 0.009501309514212347, p 3.5e-7
        let change = drift(&[100.0, 101.0, 101.5, 103.0, 103.5, 105.0, 105.5, 107.0]).expect("a trend");
        assert!((change - (7.0 * 0.009_501_309_514_212_347_f64).exp_m1()).abs() < 1e-12, "{change}");
        assert_eq!(drift(&[1.0; 20]), None);
        assert_eq!(drift(&[100.0, 101.0, 102.0, 103.0, 104.0]), None, "too few");
        assert_eq!(drift(&[100.0, 101.0, f64::NAN, 103.0, 104.0, 105.0]), None);
    }

    #[test]
    fn noise_alone_is_no_trend_and_three_percent_are() {
        let mut draws = Seed::of("drift").stream(0);
        let mut found = |slope: f64| {
            let trends = (0..5000).filter(|_| {
                let latencies: Vec<f64> = (0..20)
                    .map(|i| 100.0 * (slope * f64::from(i) / 19.0 + 0.005 * draws.normal()).exp())
                    .collect();
                drift(&latencies).is_some()
            });
            trends.count()
        };
        // 5 of 5000 expected, standard deviation 2.2
        assert!(found(0.0) <= 14);
        assert!(found(0.03) >= 4990);
    }
}
