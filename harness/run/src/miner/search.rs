//! Which settings to measure next: a Gaussian process over those measured, and the ones where it hopes for most.
//! Nothing is drawn at random: the same results give the same choice.

/// Distance over which scores resemble each other, of a unit cube's side.
const LENGTH: f64 = 0.3;
/// Variance of a measurement's noise, of the variance between settings.
const NOISE: f64 = 0.01;
/// How many standard deviations of what is unknown count as hope.
const HOPE: f64 = 1.5;

/// Choose up to `count` of `points` (in the unit cube) that were not measured. `measured` gives index and score.
pub(super) fn choose(points: &[Vec<f64>], measured: &[(usize, f64)], count: usize) -> Vec<usize> {
    let mut known = measured.to_vec();
    let mut chosen = Vec::new();
    for _ in 0..count {
        let open = (0..points.len()).filter(|i| known.iter().all(|(k, _)| k != i));
        let hopes = hopes(points, &known);
        // Ties go to the first.
        let best = open.fold(None, |best: Option<usize>, i| match best {
            Some(b) if hopes[i].0 <= hopes[b].0 => Some(b),
            _ => Some(i),
        });
        let Some(best) = best else { break };
        // Believed until measured, so that the next of this round lies elsewhere.
        known.push((best, hopes[best].1));
        chosen.push(best);
    }
    chosen
}

/// For each point, the hope for its score, and its expected score.
fn hopes(points: &[Vec<f64>], known: &[(usize, f64)]) -> Vec<(f64, f64)> {
    let n = known.len();
    let mean = known.iter().map(|(_, y)| y).sum::<f64>() / n.max(1) as f64;
    let variance = known.iter().map(|(_, y)| (y - mean).powi(2)).sum::<f64>() / n.max(1) as f64;
    // Equal scores tell nothing of the scale; then only distance counts.
    let scale = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
    let kernel = |a: &[f64], b: &[f64]| {
        let square: f64 = a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum();
        (-square / (2.0 * LENGTH * LENGTH)).exp()
    };
    let row = |i: usize| (0..n).map(move |j| (i, j));
    let mut factor: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            row(i)
                .map(|(i, j)| {
                    let noise = if i == j { NOISE } else { 0.0 };
                    kernel(&points[known[i].0], &points[known[j].0]) + noise
                })
                .collect()
        })
        .collect();
    cholesky(&mut factor);
    let residuals: Vec<f64> = known.iter().map(|(_, y)| (y - mean) / scale).collect();
    let weights = backward(&factor, &forward(&factor, &residuals));
    points
        .iter()
        .map(|point| {
            let near: Vec<f64> = known.iter().map(|(k, _)| kernel(point, &points[*k])).collect();
            let expected: f64 = near.iter().zip(&weights).map(|(k, w)| k * w).sum();
            let seen: f64 = forward(&factor, &near).iter().map(|v| v * v).sum();
            let unknown = (1.0 - seen).max(0.0).sqrt();
            (expected + HOPE * unknown, mean + scale * expected)
        })
        .collect()
}

/// The lower triangular factor of a positive definite matrix, in its place.
fn cholesky(a: &mut [Vec<f64>]) {
    for i in 0..a.len() {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            // The noise on the diagonal keeps this above zero.
            a[i][j] =
                if i == j { (a[i][i] - dot).max(NOISE * 1e-6).sqrt() } else { (a[i][j] - dot) / a[j][j] };
        }
    }
}

/// Solve L x = b.
fn forward(l: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x: Vec<f64> = Vec::with_capacity(b.len());
    for i in 0..b.len() {
        let dot: f64 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x.push((b[i] - dot) / l[i][i]);
    }
    x
}

/// Solve Lᵀ x = b.
fn backward(l: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    for i in (0..b.len()).rev() {
        let dot: f64 = (i + 1..b.len()).map(|k| l[k][i] * x[k]).sum();
        x[i] = (b[i] - dot) / l[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<Vec<f64>> {
        (0..64).map(|i| vec![f64::from(i % 8) / 7.0, f64::from(i / 8) / 7.0]).collect()
    }

    /// A hill with a side hill.
    fn height(p: &[f64]) -> f64 {
        let hill = |x: f64, y: f64, w: f64| (-((p[0] - x).powi(2) + (p[1] - y).powi(2)) / w).exp();
        hill(0.7, 0.3, 0.08) + 0.6 * hill(0.1, 0.9, 0.08)
    }

    #[test]
    fn the_top_of_a_hill_is_found_with_a_quarter_of_the_measurements() {
        let points = grid();
        let top = points.iter().map(|p| height(p)).fold(0.0, f64::max);
        let mut measured: Vec<(usize, f64)> = Vec::new();
        for _ in 0..4 {
            for i in choose(&points, &measured, 4) {
                assert!(measured.iter().all(|(k, _)| *k != i), "nothing is measured twice");
                measured.push((i, height(&points[i])));
            }
        }
        let best = measured.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        assert!(best >= 0.99 * top, "{best} of {top}");
    }

    #[test]
    fn the_first_choices_are_spread_and_the_end_is_the_end() {
        let points = grid();
        let first = choose(&points, &[], 4);
        for (n, i) in first.iter().enumerate() {
            for j in &first[..n] {
                let apart: f64 = points[*i].iter().zip(&points[*j]).map(|(a, b)| (a - b).powi(2)).sum();
                assert!(apart > 0.4, "{first:?}");
            }
        }
        assert_eq!(choose(&points[..3], &[(1, 0.5)], 9).len(), 2);
    }

    #[test]
    fn the_factor_is_that_of_a_known_matrix() {
        // Wikipedia, "Cholesky decomposition", its example: L = [[2], [6, 1], [-8, 5, 3]].
        let mut a = vec![vec![4.0, 12.0, -16.0], vec![12.0, 37.0, -43.0], vec![-16.0, -43.0, 98.0]];
        cholesky(&mut a);
        assert_eq!((a[0][0], a[1][0], a[1][1], a[2][0], a[2][1], a[2][2]), (2.0, 6.0, 1.0, -8.0, 5.0, 3.0));
        let x = backward(&a, &forward(&a, &[4.0, 12.0, -16.0]));
        assert!(x.iter().zip([1.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{x:?}");
    }
}
