//! Change points: where a series of daily values takes a lasting step.
//!
//! Method: the piecewise constant fit that minimises squared error + β per step, found exactly by
//! dynamic programming over all partitions (optimal partitioning; Jackson et al. 2005), segments of
//! at least [`SHORTEST`] days. β = 4 σ² ln n, twice the Bayesian information criterion's penalty for
//! a step (its place and its height), since σ itself is estimated: 1.4826 · median |yᵢ₊₁ − yᵢ| / √2,
//! which steps hardly touch, and at least [`FLOOR`]. Before the fit every day takes the median of
//! itself and two days on either side: that moves no step, and one or two odd days vanish. No
//! randomness, so the same history always gives the same points.

/// Shortest segment: one or two odd days are no lasting change.
const SHORTEST: usize = 3;
/// Smallest noise assumed: 0.1% of a value, given as logarithm.
const FLOOR: f64 = 1e-3;

/// Indices at which a new level begins, ascending. `values` are positive and are compared by
/// logarithm; anything else has no change points.
pub(crate) fn change_points(values: &[f64]) -> Vec<usize> {
    let n = values.len();
    if n < 2 * SHORTEST || values.iter().any(|v| !(v.is_finite() && *v > 0.0)) {
        return Vec::new();
    }
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let penalty = 4.0 * noise(&logs).powi(2) * (n as f64).ln();
    // At the ends the window is the first or last five days.
    let y: Vec<f64> = (0..n)
        .map(|day| {
            let from = day.saturating_sub(2).min(n - 5);
            let mut window = [0.0; 5];
            window.copy_from_slice(&logs[from..from + 5]);
            window.sort_by(f64::total_cmp);
            window[2]
        })
        .collect();

    // Sums of values and squares before each index, about the first value to keep digits.
    let mut sums = vec![(0.0, 0.0)];
    for value in &y {
        let (sum, squares) = sums[sums.len() - 1];
        let value = value - y[0];
        sums.push((sum + value, squares + value * value));
    }
    let cost = |from: usize, to: usize| {
        let (sum, squares) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        (squares - sum * sum / (to - from) as f64).max(0.0)
    };
    // best[t]: least cost of the first t values, and where its last segment begins.
    let mut best: Vec<(f64, usize)> = vec![(f64::INFINITY, 0); n + 1];
    best[0] = (-penalty, 0);
    for to in SHORTEST..=n {
        for from in (0..=to - SHORTEST).filter(|from| *from == 0 || *from >= SHORTEST) {
            let total = best[from].0 + cost(from, to) + penalty;
            if total < best[to].0 {
                best[to] = (total, from);
            }
        }
    }
    let mut points = Vec::new();
    let mut at = best[n].1;
    while at > 0 {
        points.push(at);
        at = best[at].1;
    }
    points.reverse();
    points
}

/// The standard deviation of one value, from the median step between neighbours.
fn noise(y: &[f64]) -> f64 {
    let mut steps: Vec<f64> = y.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    steps.sort_by(f64::total_cmp);
    let middle = steps.len() / 2;
    let median = if steps.len() % 2 == 1 { steps[middle] } else { (steps[middle - 1] + steps[middle]) / 2.0 };
    (1.4826 * median / std::f64::consts::SQRT_2).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of standard deviation 1 without a library: a sum of twelve uniforms of a linear congruence.
    fn noise_at(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        for seed in 0..20 {
            let values: Vec<f64> = noise_at(seed, 40)
                .iter()
                .enumerate()
                .map(|(day, z)| 500.0 * (0.005 * z).exp() * if day >= 25 { 1.04 } else { 1.0 })
                .collect();
            let points = change_points(&values);
            assert!(points.iter().any(|p| (24..=26).contains(p)), "{seed}: {points:?}");
        }
    }

    #[test]
    fn mere_noise_has_few_changes_and_one_odd_day_is_none() {
        let found: usize = (0..100)
            .map(|seed| {
                let values: Vec<f64> = noise_at(seed, 60).iter().map(|z| (0.01 * z).exp()).collect();
                usize::from(!change_points(&values).is_empty())
            })
            .sum();
        assert!(found <= 10, "{found} of 100 quiet histories have a change");
        let mut odd = vec![1.5; 30];
        odd[17] = 1.9;
        assert_eq!(change_points(&odd), Vec::<usize>::new());
    }

    #[test]
    fn short_or_undefined_series_have_none() {
        assert!(change_points(&[1.0, 1.0, 2.0, 2.0, 2.0]).is_empty());
        assert!(change_points(&[1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0]).is_empty());
        assert!(change_points(&[0.0; 9]).is_empty());
        assert_eq!(change_points(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), [3]);
    }
}
