//! Many claims at once.

/// Holm's step-down adjustment (1979): reject where the adjusted p is at most α, and the chance
/// of any false rejection is at most α, however the tests depend on one another.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; count];
    let mut running: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        running = running.max((count - place) as f64 * p_values[index]).min(1.0);
        adjusted[index] = running;
    }
    adjusted
}

/// The level each of `count` intervals needs so that all hold at once with `level` (Bonferroni).
///
/// Max-t bootstraps are narrower on paper and fail with few sessions; Šidák's gain is 1% of the
/// width and needs an independence that a shared baseline breaks.
pub fn simultaneous_level(level: f64, count: usize) -> f64 {
    1.0 - (1.0 - level) / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_agrees_with_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02;
        // the same by hand: sorted .005·4, .01·3, .03·2, max(.04·1, .06)
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn simultaneous_levels_share_the_error() {
        assert!((simultaneous_level(0.95, 20) - 0.9975).abs() < 1e-12);
        assert_eq!(simultaneous_level(0.95, 0), 0.95);
    }
}
