//! The one-sided lower bounds of the analysis, in small: t on the mean widened for skewness, and order
//! statistics for quantiles. The analysis crate is not used, since it must not be a neighbour of pictures.

/// Lower bound of the mean.
pub(crate) fn mean(values: &[f64], level: f64) -> Option<f64> {
    let n = values.len() as f64;
    if n < 3.0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let moment = |p| values.iter().map(|v| (v - mean).powi(p)).sum::<f64>() / n;
    if moment(2) == 0.0 {
        return Some(mean);
    }
    let error = (moment(2) / (n - 1.0)).sqrt();
    let t = student(level, n - 1.0);
    let skewness = (n * (n - 1.0)).sqrt() / (n - 2.0) * moment(3) / moment(2).powf(1.5);
    let widening = (-skewness).max(0.0) * (2.0 * t * t + 1.0) / (6.0 * n.sqrt());
    Some(mean - (t + widening.min(t / 2.0)) * error)
}

/// Lower bound of a quantile: the highest order statistic that is below it with that probability.
pub(crate) fn quantile(values: &[f64], q: f64, level: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // P(at most k values lie below the quantile), k growing; X(k+1) is a bound while it is at most 1 − level.
    let (mut term, mut below) = ((1.0 - q).powi(n as i32), 0.0);
    let mut bound = None;
    for (k, value) in sorted.iter().enumerate() {
        below += term;
        if below > 1.0 - level {
            break;
        }
        bound = Some(*value);
        term *= (n - k) as f64 / (k + 1) as f64 * q / (1.0 - q);
    }
    bound
}

/// Quantile of Student's t by bisection of its numerically integrated density.
fn student(level: f64, freedom: f64) -> f64 {
    let density = |x: f64| (1.0 + x * x / freedom).powf(-(freedom + 1.0) / 2.0);
    let area = |to: f64| {
        let h = to / 2000.0;
        (0..2000).map(|i| density((f64::from(i) + 0.5) * h) * h).sum::<f64>()
    };
    let half = area(200.0);
    let (mut low, mut high) = (0.0, 50.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if 0.5 + 0.5 * area(middle) / half < level { low = middle } else { high = middle }
    }
    low
}
