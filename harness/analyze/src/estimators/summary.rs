//! What an estimator returns: a point with its interval, its p-value and how they came about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How an interval is made. The name is printed beside every number it produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Student's t on session means: the default.
    Student,
    /// Bias-corrected and accelerated bootstrap over sessions.
    Bca,
    /// Percentile bootstrap over sessions.
    Percentile,
    /// Hodges–Lehmann shift with the Wilcoxon signed-rank interval, on session means.
    HodgesLehmann,
    /// t with the effective sample size of an AR(1) series: for a single session.
    Autocorrelation,
}

impl Method {
    /// All methods, in the order in which help texts list them.
    pub const ALL: [Self; 5] =
        [Self::Student, Self::Bca, Self::Percentile, Self::HodgesLehmann, Self::Autocorrelation];

    /// The name used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Bca => "bca",
            Self::Percentile => "percentile",
            Self::HodgesLehmann => "hodges-lehmann",
            Self::Autocorrelation => "autocorrelation",
        }
    }

    /// What it does, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Student => "t on session means",
            Self::Bca => "BCa bootstrap over sessions",
            Self::Percentile => "percentile bootstrap over sessions",
            Self::HodgesLehmann => "Hodges–Lehmann on session means",
            Self::Autocorrelation => "autocorrelation-robust t in one session",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A method that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown method {0:?}: expected student, bca, percentile, hodges-lehmann or autocorrelation")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| UnknownMethod(text.to_owned()))
    }
}

/// An estimate of one location (of log ratios, of milliseconds, of similarities).
///
/// `lower ≤ point ≤ upper` wherever both are known, except that BCa and Hodges–Lehmann may put
/// the point outside on pathological data. A bound that the data cannot give is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The estimate itself.
    pub point: f64,
    /// Lower bound of the two-sided interval.
    pub lower: Option<f64>,
    /// Upper bound of the two-sided interval.
    pub upper: Option<f64>,
    /// Two-sided p-value of "the location is zero"; at most 1 − level exactly where the interval
    /// excludes zero.
    pub p_value: Option<f64>,
    /// Confidence level of the interval.
    pub level: f64,
    /// Number of independent units (sessions, or pairs of a single session).
    pub n: usize,
    /// How it was made.
    pub method: Method,
}

impl Summary {
    /// A point without an interval: too little data for one.
    pub fn bare(point: f64, level: f64, n: usize, method: Method) -> Self {
        Self { point, lower: None, upper: None, p_value: None, level, n, method }
    }

    /// Half the width of the interval.
    pub fn half_width(&self) -> Option<f64> {
        Some((self.upper? - self.lower?) / 2.0)
    }

    /// Whether the interval contains `value`; an unbounded side contains everything.
    pub fn covers(&self, value: f64) -> bool {
        self.lower.is_none_or(|lower| lower <= value) && self.upper.is_none_or(|upper| value <= upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
            assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
        }
        let error = "median".parse::<Method>().unwrap_err().to_string();
        assert!(error.contains("median") && error.contains("bca"), "{error}");
    }
}
