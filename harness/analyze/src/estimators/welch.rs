//! Welch's t: the difference of two means over separate values, of unequal variances.

use edgemaxx_contract::confidence::DEFAULT_LEVEL;

use super::student;
use super::summary::{Method, Summary};

/// Two-sided p-value of Welch's t test; `None` with fewer than two values on either side.
pub fn p_value(first: &[f64], second: &[f64]) -> Option<f64> {
    interval(first, second, DEFAULT_LEVEL).p_value
}

/// First mean minus second with Welch's interval, `n` the fewer values of the two; a bare point
/// with fewer than two values on either side.
pub fn interval(first: &[f64], second: &[f64], level: f64) -> Summary {
    let n = first.len().min(second.len());
    let difference = student::mean(first) - student::mean(second);
    let (Some((_, error_a)), Some((_, error_b))) =
        (student::mean_and_error(first), student::mean_and_error(second))
    else {
        return Summary::bare(difference, level, n, Method::Student);
    };
    if !student::varies(first) && !student::varies(second) {
        return Summary::bare(difference, level, n, Method::Student);
    }
    let (a, b) = (error_a.powi(2), error_b.powi(2));
    let freedom =
        (a + b).powi(2) / (a.powi(2) / (first.len() - 1) as f64 + b.powi(2) / (second.len() - 1) as f64);
    student::from_error(difference, (a + b).sqrt(), freedom, level, n, Method::Student)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::known::{A, B, assert_close};

    #[test]
    fn it_agrees_with_scipy() {
        // scipy 1.17.1: ttest_ind(A, B, equal_var=False).pvalue
        assert_close(p_value(&A, &B).unwrap(), 0.45921230779729266);
        assert_eq!(p_value(&A, &[0.1]), None);
    }
}
