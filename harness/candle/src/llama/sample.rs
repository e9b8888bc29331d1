//! Choosing a token from logits. Noise comes from outside, so that every engine that is given the same samples alike.

/// The token with the largest logit, the first of several.
pub fn greedy(logits: &[f32]) -> u32 {
    largest(logits.iter().copied())
}

/// A sample at a temperature: the token with the largest logits/temperature + noise, where `noise` is drawn from the
/// standard Gumbel distribution, one number for each token of the vocabulary.
///
/// # Panics
/// Where there are not as many numbers as logits.
pub fn sampled(logits: &[f32], temperature: f32, noise: &[f32]) -> u32 {
    assert_eq!(logits.len(), noise.len(), "one number of noise per logit");
    largest(logits.iter().zip(noise).map(|(l, n)| l / temperature + n))
}

fn largest(scores: impl Iterator<Item = f32>) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (id, score) in scores.enumerate() {
        if score > best.0 {
            best = (score, id as u32);
        }
    }
    best.1
}

/// Natural logarithms of the probabilities that logits stand for.
pub fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|l| (f64::from(*l) - top).exp()).sum();
    let all = top + sum.ln();
    logits.iter().map(|l| f64::from(*l) - all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_is_chosen() {
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(sampled(&[1.0, 3.0, 3.0, 2.0], 0.5, &[9.0, 0.0, 0.1, 0.0]), 0);
        assert_eq!(sampled(&[1.0, 3.0, 3.0, 2.0], 0.5, &[0.0, 0.0, 0.1, 0.0]), 2);
    }

    /// The Gumbel trick samples from the distribution: 4,000 draws, frequencies within five standard errors.
    #[test]
    fn gumbel_noise_samples_the_distribution() {
        let logits = [0.0f32, 1.0, -1.0, 0.5];
        let probabilities: Vec<f64> = log_probabilities(&logits).iter().map(|l| l.exp()).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let mut counts = [0usize; 4];
        for _ in 0..4000 {
            let noise: Vec<f32> = (0..4).map(|_| -(-uniform().ln()).ln() as f32).collect();
            counts[sampled(&logits, 1.0, &noise) as usize] += 1;
        }
        for (count, p) in counts.iter().zip(&probabilities) {
            let error = (p * (1.0 - p) / 4000.0).sqrt();
            assert!((*count as f64 / 4000.0 - p).abs() < 5.0 * error, "{counts:?} for {probabilities:?}");
        }
    }
}
