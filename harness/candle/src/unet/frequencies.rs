//! Frequencies of sinusoids.

/// Shift of the frequencies of a guidance scale.
pub(super) const GUIDANCE_SHIFT: f64 = 1.0;

/// Frequencies of the sinusoids of `dim` channels.
pub(super) fn frequencies(dim: usize, shift: f64) -> Vec<f32> {
    let half = dim / 2;
    let step = -(10000f64.ln() as f32) / (half as f32 - shift as f32);
    (0..half).map(|i| (i as f32 * step).exp()).collect()
}
