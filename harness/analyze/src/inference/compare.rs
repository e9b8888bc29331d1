//! Candidate against candidate.

use std::collections::BTreeMap;

use crate::estimators::{Method, Summary, student};

/// One candidate's evidence: its mean log ratio to the baseline in each session.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which sessions, ascending; two candidates measured in the same one share its number.
    pub keys: Vec<u32>,
    /// Mean log ratio (candidate over baseline) per session.
    pub means: Vec<f64>,
}

impl Series {
    /// The mean over sessions; NaN without any.
    pub fn mean(&self) -> f64 {
        student::mean(&self.means)
    }
}

/// The difference of two candidates' log ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// First minus second; negative: the first is faster.
    pub point: f64,
    /// Two-sided p-value of "no difference"; 1 where the data cannot tell.
    pub p_value: f64,
}

/// Compares two candidates.
///
/// Measured in common sessions, they are compared session by session (the baseline and whatever
/// the session did to both cancel). Measured in separate sessions, as our own plans do, by
/// Welch's t, which does not assume equal variances and keeps the degrees of freedom of both.
pub fn compare(first: &Series, second: &Series) -> Difference {
    let point = first.mean() - second.mean();
    let by_key: BTreeMap<u32, f64> = second.keys.iter().copied().zip(second.means.iter().copied()).collect();
    let shared: Vec<f64> =
        first.keys.iter().zip(&first.means).filter_map(|(key, mean)| Some(mean - by_key.get(key)?)).collect();
    let p_value = if shared.is_empty() {
        welch(&first.means, &second.means)
    } else {
        student::interval(&shared, 0.95).p_value
    };
    Difference { point, p_value: p_value.unwrap_or(1.0) }
}

/// Two-sided p-value of Welch's t test; `None` with fewer than two values on either side.
pub fn welch(first: &[f64], second: &[f64]) -> Option<f64> {
    welch_interval(first, second, 0.95).p_value
}

/// First mean minus second with Welch's interval, `n` the fewer values of the two; a bare point
/// with fewer than two values on either side.
pub fn welch_interval(first: &[f64], second: &[f64], level: f64) -> Summary {
    let n = first.len().min(second.len());
    let difference = student::mean(first) - student::mean(second);
    let (Some((_, error_a)), Some((_, error_b))) =
        (student::mean_and_error(first), student::mean_and_error(second))
    else {
        return Summary::bare(difference, level, n, Method::Student);
    };
    let (a, b) = (error_a.powi(2), error_b.powi(2));
    let freedom =
        (a + b).powi(2) / (a.powi(2) / (first.len() - 1) as f64 + b.powi(2) / (second.len() - 1) as f64);
    student::from_error(difference, (a + b).sqrt(), freedom, level, n, Method::Student)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::known::{A, B, assert_close};

    fn series(keys: std::ops::Range<u32>, means: &[f64]) -> Series {
        Series { keys: keys.collect(), means: means.to_vec() }
    }

    #[test]
    fn welch_agrees_with_scipy() {
        // scipy 1.17.1: ttest_ind(A, B, equal_var=False).pvalue
        assert_close(welch(&A, &B).unwrap(), 0.45921230779729266);
        assert_eq!(welch(&A, &[0.1]), None);
    }

    #[test]
    fn shared_sessions_are_paired() {
        // scipy 1.17.1: ttest_rel(A[:5], B).pvalue
        let difference = compare(&series(0..5, &A[..5]), &series(0..5, &B));
        assert_close(difference.p_value, 0.380877696153478);
        let apart = compare(&series(0..8, &A), &series(8..13, &B));
        assert_close(apart.p_value, 0.45921230779729266);
        assert_close(apart.point, 0.0115 - 0.0198);
    }

    #[test]
    fn one_shared_session_tells_nothing() {
        assert_eq!(compare(&series(0..1, &[0.1]), &series(0..1, &[0.2])).p_value, 1.0);
    }
}
