//! Cosine of two vectors: latents, or embeddings of CLIP.

use crate::error::{QualityError, Result};

/// `a·b / (|a||b|)`, −1 to 1, accumulated in f64.
///
/// # Errors
/// When the lengths differ, or a vector is empty, zero or not finite: it has no direction.
pub fn cosine(a: &[f32], b: &[f32]) -> Result<f64> {
    let fail = |problem: String| Err(QualityError::Vector { what: "cosine", problem });
    if a.len() != b.len() {
        return fail(format!("{} values against {}", a.len(), b.len()));
    }
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum() };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if !norms.is_finite() || norms == 0.0 {
        return fail("a vector is zero, empty or not finite, so it has no direction".into());
    }
    Ok((dot(a, b) / norms).clamp(-1.0, 1.0))
}
