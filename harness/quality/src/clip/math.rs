//! The arithmetic of a vision transformer besides its products, in f32 on plain slices, fused into
//! passes that vectorise.

use crate::metric::widest;

/// Activation of the hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x·σ(1.702 x)`.
    QuickGelu,
    /// `x·Φ(x)` with the error function.
    Gelu,
}

impl Activation {
    /// By transformers' name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "quick_gelu" => Some(Self::QuickGelu),
            "gelu" => Some(Self::Gelu),
            _ => None,
        }
    }

    /// Adds the bias to every row of `values`, then applies the activation.
    pub(super) fn with_bias(self, values: &mut [f32], bias: &[f32]) {
        match self {
            Self::QuickGelu => quick_gelu(values, bias),
            Self::Gelu => gelu(values, bias),
        }
    }
}

/// Adds `bias` to every row.
pub(super) fn add_bias(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
    }
}

widest! { fn quick_gelu(values: &mut [f32], bias: &[f32]) = quick_gelu_body }
widest! { fn gelu(values: &mut [f32], bias: &[f32]) = gelu_body }
widest! {
    /// Softmax of every row of `columns` values.
    pub(super) fn softmax(values: &mut [f32], columns: usize) = softmax_body
}
widest! {
    /// Layer normalisation of every row of `weight.len()` values.
    pub(super) fn layer_norm(from: &[f32], to: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) = layer_norm_body
}

#[inline(always)]
fn quick_gelu_body(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (v, b) in row.iter_mut().zip(bias) {
            let x = *v + b;
            *v = x / (1.0 + exp(-1.702 * x));
        }
    }
}

#[inline(always)]
fn gelu_body(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (v, b) in row.iter_mut().zip(bias) {
            let x = *v + b;
            *v = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

#[inline(always)]
fn softmax_body(values: &mut [f32], columns: usize) {
    for row in values.chunks_exact_mut(columns) {
        let top = row.iter().fold(f32::MIN, |a, &b| if a > b { a } else { b });
        row.iter_mut().for_each(|v| *v = exp(*v - top));
        let total = lanes(row, |v| v);
        row.iter_mut().for_each(|v| *v /= total);
    }
}

#[inline(always)]
fn layer_norm_body(from: &[f32], to: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let n = weight.len();
    for (row, out) in from.chunks_exact(n).zip(to.chunks_exact_mut(n)) {
        let mean = lanes(row, |v| v) / n as f32;
        let variance = lanes(row, |v| (v - mean) * (v - mean)) / n as f32;
        let scale = 1.0 / (variance + eps).sqrt();
        for (((out, v), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = (v - mean) * scale * w + b;
        }
    }
}

/// Sum of `f` over a row in eight partial sums, joined in a fixed order.
#[inline(always)]
fn lanes(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; 8];
    let chunks = row.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|&v| f(v)).sum();
    for chunk in chunks {
        for (sum, &v) in sums.iter_mut().zip(chunk) {
            *sum += f(v);
        }
    }
    let [a, b, c, d, e, g, h, i] = sums;
    ((a + b) + (c + d)) + ((e + g) + (h + i)) + rest
}

/// `eˣ` to 2 units in the last place, without branches (Cephes `expf`: reduction by ln 2 in two
/// parts, polynomial of degree 7, the exponent put together from bits).
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the rounded value in the low bits
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * 0.693_359_4) - k * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let power = (shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits());
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

/// The error function to 1.5e−7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let mut p = 1.061_405_4;
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = p * t + c;
    }
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

#[cfg(test)]
#[allow(clippy::excessive_precision, reason = "as published")]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_error_function_are_accurate() {
        for i in -8600..8700 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}");
        }
        // scipy.special.erf
        for (x, y) in
            [(0.0, 0.0), (0.1, 0.1124629160), (0.5, 0.5204998778), (1.0, 0.8427007929), (2.5, 0.9995930480)]
        {
            assert!((erf(x) - y).abs() < 3e-7, "{x}");
            assert!((erf(-x) + y).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn softmax_and_norm_keep_their_promises() {
        let mut v: Vec<f32> = (0..26).map(|i| (i * i % 7) as f32).collect();
        softmax(&mut v, 13);
        for row in v.chunks(13) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        let mut out = vec![0.0; 26];
        layer_norm(&v, &mut out, &[1.0; 13], &[0.0; 13], 0.0);
        for row in out.chunks(13) {
            assert!(row.iter().sum::<f32>().abs() < 1e-4);
            assert!((row.iter().map(|x| x * x).sum::<f32>() / 13.0 - 1.0).abs() < 1e-4);
        }
    }
}
