//! Variances of the training schedule, rounded where PyTorch rounds.

/// `torch.linspace(start, end, n, dtype=float32)`: counted from both ends, each value rounded once.
pub(super) fn linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (n.max(2) - 1) as f32;
    (0..n)
        .map(
            |i| {
                if i < n / 2 {
                    step.mul_add(i as f32, start)
                } else {
                    step.mul_add(-((n - 1 - i) as f32), end)
                }
            },
        )
        .collect()
}

/// Squares of evenly spaced standard deviations.
pub(super) fn scaled_linear(start: f64, end: f64, n: usize) -> Vec<f32> {
    linspace(start.sqrt(), end.sqrt(), n).into_iter().map(|x| x * x).collect()
}

/// Glide's cosine schedule, capped at .999.
pub(super) fn squared_cosine(n: usize) -> Vec<f32> {
    let bar = |i: usize| ((i as f64 / n as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    (0..n).map(|i| (1.0 - bar(i + 1) / bar(i)).min(0.999) as f32).collect()
}

/// Cumulative products of 1 − β; PyTorch accumulates in double precision and stores single.
pub(super) fn cumulative_alphas(betas: &[f32]) -> Vec<f32> {
    let mut product = 1f64;
    betas
        .iter()
        .map(|b| {
            product *= f64::from(1.0 - b);
            product as f32
        })
        .collect()
}

/// Betas rescaled so that the last time is pure noise (Lin et al. 2023, algorithm 1).
pub(super) fn zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumulative_alphas(betas).into_iter().map(f32::sqrt).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let scale = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|r| ((r - last) * scale).powi(2)).collect();
    (0..bars.len()).map(|i| 1.0 - if i == 0 { bars[0] } else { bars[i] / bars[i - 1] }).collect()
}
