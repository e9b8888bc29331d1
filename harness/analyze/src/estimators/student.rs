//! Student's t: intervals, p-values, one-sided bounds and equivalence of a mean.
//!
//! Exact for independent normal values; for means of sessions the central limit theorem inside
//! each session makes that assumption mild. Variance between sessions, whatever its cause
//! (process layout, clocks, heat), is in the interval because the sessions are the sample.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::summary::{Method, Summary};

/// Values that differ by less are the same number, rounded at different places.
const DUST: f64 = 1e-12;

/// Whether values have a spread. Of those that have none it is not known how far they are from the truth: a clock too
/// coarse, or numbers that were never measured, look the same.
pub fn varies(values: &[f64]) -> bool {
    let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &value| {
        (least.min(value), most.max(value))
    });
    most - least > DUST
}

/// As [`interval`], of values whose spread is all that is known of their error: a bare point where they have none.
pub fn varying(values: &[f64], level: f64) -> Summary {
    if varies(values) {
        return interval(values, level);
    }
    Summary::bare(mean(values), level, values.len(), Method::Student)
}

/// Mean and standard error of the mean; `None` with fewer than two values.
pub fn mean_and_error(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((mean, (squares / (n - 1.0) / n).sqrt()))
}

/// Arithmetic mean; NaN of no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The `1 − alpha/2` quantile of t with `freedom` degrees of freedom.
pub fn critical(alpha: f64, freedom: f64) -> f64 {
    one_sided_critical(alpha / 2.0, freedom)
}

/// The `1 − alpha` quantile of t with `freedom` degrees of freedom; infinite for `alpha` ≤ 0.
pub fn one_sided_critical(alpha: f64, freedom: f64) -> f64 {
    if alpha <= 0.0 {
        return f64::INFINITY;
    }
    // The lower tail: 1 − alpha would lose the digits of a small alpha.
    distribution(freedom).map_or(f64::NAN, |t| -t.inverse_cdf(alpha.min(1.0)))
}

/// Two-sided p-value of a t statistic.
pub fn p_two_sided(t: f64, freedom: f64) -> f64 {
    (2.0 * p_upper(t.abs(), freedom)).min(1.0)
}

/// P(T > t).
pub fn p_upper(t: f64, freedom: f64) -> f64 {
    distribution(freedom).map_or(f64::NAN, |d| d.cdf(-t))
}

fn distribution(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

/// The t interval of a mean and the p-value of "it is zero".
///
/// Identical values have a standard error of zero: the interval is the point and p is 0, or 1
/// where the mean is exactly zero. One value gives a point without an interval.
pub fn interval(values: &[f64], level: f64) -> Summary {
    let n = values.len();
    let Some((mean, error)) = mean_and_error(values) else {
        return Summary::bare(mean(values), level, n, Method::Student);
    };
    from_error(mean, error, n as f64 - 1.0, level, n, Method::Student)
}

/// The interval `mean ± t · error`, with its p-value.
pub fn from_error(mean: f64, error: f64, freedom: f64, level: f64, n: usize, method: Method) -> Summary {
    let half = if error == 0.0 { 0.0 } else { critical(1.0 - level, freedom) * error };
    let p_value = match (mean == 0.0, error == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => p_two_sided(mean / error, freedom),
    };
    Summary {
        point: mean,
        lower: Some(mean - half),
        upper: Some(mean + half),
        p_value: Some(p_value),
        level,
        n,
        method,
    }
}

/// One-sided lower confidence bound of a mean.
pub fn lower_bound(values: &[f64], level: f64) -> Option<f64> {
    let (mean, error) = mean_and_error(values)?;
    let reach = one_sided_critical(1.0 - level, values.len() as f64 - 1.0);
    Some(if error == 0.0 { mean } else { mean - reach * error })
}

/// One-sided upper confidence bound of a mean.
pub fn upper_bound(values: &[f64], level: f64) -> Option<f64> {
    let (mean, error) = mean_and_error(values)?;
    let reach = one_sided_critical(1.0 - level, values.len() as f64 - 1.0);
    Some(if error == 0.0 { mean } else { mean + reach * error })
}

#[cfg(test)]
mod tests {
    use super::super::known::{A, B, assert_close};
    use super::*;

    #[test]
    fn intervals_agree_with_scipy() {
        // scipy 1.17.1: r = ttest_1samp(A, 0); r.pvalue, r.confidence_interval(level)
        let summary = interval(&A, 0.95);
        assert_close(summary.point, 0.0115);
        assert_close(summary.p_value.unwrap(), 0.004380032890280214);
        assert_close(summary.lower.unwrap(), 0.004922627363212628);
        assert_close(summary.upper.unwrap(), 0.01807737263678737);
        let wide = interval(&A, 0.9975);
        assert_close(wide.lower.unwrap(), -0.0012803170291954147);
        assert_close(wide.upper.unwrap(), 0.024280317029195413);
        let summary = interval(&B, 0.95);
        assert_close(summary.p_value.unwrap(), 0.11629235117257888);
        assert_close(summary.lower.unwrap(), -0.007705029685721659);
        assert_close(summary.upper.unwrap(), 0.04730502968572166);
    }

    #[test]
    fn one_sided_bounds_agree_with_scipy() {
        // scipy 1.17.1: ttest_1samp(A, 0, alternative="greater"/"less").confidence_interval(.95)
        assert_close(lower_bound(&A, 0.95).unwrap(), 0.006230093177819701);
        assert_close(upper_bound(&A, 0.95).unwrap(), 0.016769906822180297);
    }

    #[test]
    fn quantiles_and_tails_agree_with_scipy() {
        // scipy 1.17.1: t.isf(alpha / 2, df); relative error, since the tails are long
        for (alpha, freedom, expected) in [
            (0.05, 1.0, 12.706204736174705),
            (0.0025, 4.0, 6.758252832704275),
            (1e-5, 4.0, 27.771647659366717),
            (0.05, 7.0, 2.3646242515927844),
            (1e-5, 19.0, 5.949353352852527),
            (0.0025, 33.5, 3.268922655827932),
        ] {
            assert!((critical(alpha, freedom) / expected - 1.0).abs() < 1e-9, "{alpha} {freedom}");
        }
        // 2 * t.sf(x, df)
        assert_close(p_two_sided(2.5, 4.0), 0.06676654481198814);
        assert_close(p_two_sided(-5.3, 7.0), 0.0011233681603250605);
        assert!((p_two_sided(40.0, 4.0) / 2.3340163226012678e-06 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn values_without_a_spread_tell_nothing() {
        assert!(!varies(&[]) && !varies(&[0.3]) && !varies(&[0.1 + 0.2, 0.3]) && varies(&[0.3, 0.3 + 1e-9]));
        let same = varying(&[0.01; 6], 0.95);
        assert_eq!((same.point, same.lower, same.upper, same.p_value, same.n), (0.01, None, None, None, 6));
        assert_eq!(varying(&A, 0.95), interval(&A, 0.95));
    }

    #[test]
    fn degenerate_data_gives_no_nonsense() {
        let same = interval(&[0.01; 6], 0.95);
        assert_eq!(same.p_value, Some(0.0));
        assert!(same.half_width().unwrap() < 1e-15);
        assert_eq!(interval(&[0.0; 6], 0.95).p_value, Some(1.0));
        let one = interval(&[0.3], 0.95);
        assert_eq!((one.point, one.lower, one.p_value), (0.3, None, None));
        assert_eq!(lower_bound(&[0.3], 0.95), None);
    }
}
