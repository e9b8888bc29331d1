//! Whether a candidate's answers are alike enough.

use edgemaxx_contract::comparison::Verdict;
use edgemaxx_contract::estimate::Estimate;
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::quality::QualityRecord;

use super::change::Noise;
use crate::estimators::{one_sided, student};

/// The mean similarity with its bounds, and the values it rests on.
#[derive(Debug)]
pub(crate) struct Likeness {
    /// The mean with a one-sided bound to either side.
    pub estimate: Estimate,
    noise: Noise,
}

impl Likeness {
    /// The mean of a metric; each bound spends half of the error left by `level`. `None` where a
    /// pair lacks the metric: a proof must not leave pairs out.
    pub(crate) fn of(records: &[&QualityRecord], metric: Metric, level: f64) -> Option<Self> {
        let values: Vec<f64> =
            records.iter().map(|r| r.value(metric).filter(|v| v.is_finite())).collect::<Option<_>>()?;
        if values.is_empty() {
            return None;
        }
        let one = 1.0 - (1.0 - level) / 2.0;
        let estimate = Estimate {
            point: student::mean(&values),
            lower: one_sided::lower_bound(&values, one),
            upper: one_sided::upper_bound(&values, one),
            method: "one-sided t on pairs, skewness-corrected".to_owned(),
            n: values.len() as u32,
            level: one,
        };
        Some(Self { estimate, noise: Noise::of(&[&values]) })
    }

    /// Whether at least `least` is proven, or its opposite.
    pub(crate) fn verdict(&self, least: f64) -> Verdict {
        if self.estimate.lower.is_some_and(|lower| lower >= least) {
            return Verdict::Equivalent;
        }
        if self.estimate.upper.is_some_and(|upper| upper < least) {
            return Verdict::Regressed;
        }
        Verdict::CannotTell
    }

    /// Sessions of so many pairs that would tell, in all.
    pub(crate) fn sessions(&self, least: f64, alpha: f64, sessions: usize) -> Option<usize> {
        let pairs = self.noise.units_to_resolve((self.estimate.point - least).abs(), alpha)?;
        let per_session = (self.noise.units / sessions.max(1)).max(1);
        Some(pairs.div_ceil(per_session))
    }
}
