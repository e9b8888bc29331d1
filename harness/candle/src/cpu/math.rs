//! Elementary functions written so that loops over them become vector code, with the same bits on every machine that
//! has a fused multiply-add.

/// eˣ within 2 ulp for −87 ≤ x ≤ 88, clamped beyond (Cephes' expf: x = n·ln 2 + r, a polynomial in r).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.3);
    // adding and subtracting 1.5·2²³ rounds to an integer
    let shifted = x.mul_add(std::f32::consts::LOG2_E, 12_582_912.0);
    let n = shifted - 12_582_912.0;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_2e-4f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits((((n as i32) + 127) << 23) as u32);
    p * scale
}

/// x·σ(x)
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// x·σ(1.702·x)
#[inline(always)]
pub(super) fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}

/// x·Φ(x)
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function: odd rational approximation on |x| ≤ 4 as in Eigen, ±1 beyond; absolute error below 2e-7.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142e-10f32;
    let p = p.mul_add(s, 2.770_681_4e-8);
    let p = p.mul_add(s, -2.101_024e-6);
    let p = p.mul_add(s, -5.692_506_4e-5);
    let p = p.mul_add(s, -7.349_906e-4);
    let p = p.mul_add(s, -2.954_6e-3);
    let p = p.mul_add(s, -1.609_603_3e-2) * x;
    let q = -1.456_607_2e-5f32;
    let q = q.mul_add(s, -2.133_740_6e-4);
    let q = q.mul_add(s, -1.682_827e-3);
    let q = q.mul_add(s, -7.373_329e-3);
    let q = q.mul_add(s, -1.426_473_9e-2);
    p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-80_000..80_000).map(|i| i as f32 * 1e-3)
    }

    #[test]
    fn exp_is_within_two_ulp() {
        for x in grid() {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 2.4e-7 * want, "exp({x}) = {got}, not {want}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) < 1e-37 && exp(1e30).is_finite());
    }

    /// Against tanh-free known values of the error function (Abramowitz & Stegun, table 7.1) and the complementary
    /// series of candle's own `gelu_erf` on a grid.
    #[test]
    fn gelu_equals_the_reference() {
        for (x, want) in [(0.1f32, 0.112_462_916), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)]
        {
            assert!((erf(x) - want).abs() < 2e-7 && (erf(-x) + want).abs() < 2e-7, "erf({x})");
        }
        let xs: Vec<f32> = grid().filter(|x| x.abs() < 12.0).collect();
        let t = candle_core::Tensor::new(xs.as_slice(), &candle_core::Device::Cpu).expect("tensor");
        let want = t.gelu_erf().and_then(|t| t.to_vec1::<f32>()).expect("gelu");
        for (x, w) in xs.iter().zip(want) {
            assert!((gelu(*x) - w).abs() <= 4e-7 * x.abs().max(1.0), "gelu({x}) = {}, not {w}", gelu(*x));
        }
    }
}
