//! From what the estimators return to what the files hold.

use edgemaxx_contract::estimate::Estimate;

use crate::estimators::quantiles::Sorted;
use crate::estimators::{Summary, autocorrelation, student};
use crate::samples::{CandidateSamples, Pair};

/// A summary as it is.
pub(crate) fn plain(summary: &Summary, method: &str) -> Estimate {
    Estimate {
        point: summary.point,
        lower: summary.lower,
        upper: summary.upper,
        method: method.to_owned(),
        n: summary.n as u32,
        level: summary.level,
    }
}

/// The speedup, exp(−d), of a mean log ratio d; the bounds change places.
pub(crate) fn speedup(log_ratio: &Summary, method: &str) -> Estimate {
    let turned = |bound: Option<f64>| bound.map(|d| (-d).exp());
    Estimate {
        point: (-log_ratio.point).exp(),
        lower: turned(log_ratio.upper),
        upper: turned(log_ratio.lower),
        ..plain(log_ratio, method)
    }
}

/// exp of a mean log ratio and its bounds.
pub(crate) fn exponent(log_ratio: &Estimate) -> Estimate {
    let exp = |bound: Option<f64>| bound.map(f64::exp);
    Estimate {
        point: log_ratio.point.exp(),
        lower: exp(log_ratio.lower),
        upper: exp(log_ratio.upper),
        ..log_ratio.clone()
    }
}

/// The mean of one side's latencies, milliseconds, with an interval over sessions.
pub(crate) fn mean_latency(
    samples: &CandidateSamples,
    side: impl Fn(&Pair) -> f64 + Copy,
    level: f64,
) -> Estimate {
    let summary = if samples.sessions.len() == 1 {
        autocorrelation::interval(&samples.all_pairs().map(side).collect::<Vec<_>>(), level)
    } else {
        let means: Vec<f64> = samples
            .sessions
            .iter()
            .map(|session| student::mean(&session.pairs.iter().map(side).collect::<Vec<_>>()))
            .collect();
        student::interval(&means, level)
    };
    plain(&summary, summary.method.title())
}

/// The mean of what each session gave, of a quantity that is never negative; `None` of no sessions.
pub(crate) fn over_sessions(values: &[f64], level: f64, what: &str) -> Option<Estimate> {
    (!values.is_empty()).then(|| {
        let found = plain(&student::interval(values, level), &format!("t on {what}"));
        Estimate { lower: found.lower.map(|lower| lower.max(0.0)), ..found }
    })
}

/// A quantile with its order-statistic interval; `None` of no values.
pub(crate) fn quantile(sorted: &Sorted, q: f64, level: f64) -> Option<Estimate> {
    let found = sorted.interval(q, level)?;
    Some(Estimate {
        point: found.point,
        lower: found.lower,
        upper: found.upper,
        method: "order statistics".to_owned(),
        n: sorted.values().len() as u32,
        level,
    })
}

/// Answers per second from the mean latency in milliseconds.
pub(crate) fn throughput(mean_ms: &Estimate) -> Estimate {
    // A lower bound of the latency at or below zero bounds nothing.
    let per_second = |ms: Option<f64>| ms.filter(|ms| *ms > 0.0).map(|ms| 1000.0 / ms);
    Estimate {
        point: 1000.0 / mean_ms.point,
        lower: per_second(mean_ms.upper),
        upper: per_second(mean_ms.lower),
        ..mean_ms.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::Method;

    #[test]
    fn a_smaller_log_ratio_is_a_larger_speedup() {
        let summary = Summary {
            point: -(2f64.ln()),
            lower: Some(-(3f64.ln())),
            upper: None,
            p_value: None,
            level: 0.95,
            n: 5,
            method: Method::Student,
        };
        let found = speedup(&summary, "t");
        assert!((found.point - 2.0).abs() < 1e-12 && (found.upper.unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(found.lower, None);
        let rate = throughput(&Estimate { point: 250.0, lower: Some(-1.0), upper: Some(500.0), ..found });
        assert_eq!((rate.point, rate.lower, rate.upper), (4.0, Some(2.0), None));
    }
}
