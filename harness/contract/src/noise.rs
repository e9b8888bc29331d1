//! Initial noise, bit for bit the draws of PyTorch's CPU generator: `torch.randn(n, generator=torch.Generator("cpu").manual_seed(seed))`.
//!
//! Source: PyTorch, `aten/src/ATen/core/MT19937RNGEngine.h`, `CPUGeneratorImpl.cpp`,
//! `native/cpu/DistributionTemplates.h` (`normal_fill`) and `core/DistributionsHelper.h` (`normal_distribution`).
//! The uniform draws are equal; the normal values agree within 1e-6 because PyTorch's vectorised logarithm, sine and
//! cosine differ in the last bits from machine to machine.

const N: usize = 624;
const M: usize = 397;

/// The Mersenne Twister MT19937 as PyTorch seeds it: by the low 32 bits of the seed.
struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    fn new(seed: u64) -> Self {
        let mut state = [0; N];
        state[0] = seed as u32;
        for i in 1..N {
            let previous: u32 = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(previous ^ (previous >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    fn refill(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
        }
        self.next = 0;
    }

    fn u32(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in [0, 1) with 24 bits.
    fn f32(&mut self) -> f32 {
        (self.u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in [0, 1) with 53 bits; the first draw is the high word.
    fn f64(&mut self) -> f64 {
        let high = u64::from(self.u32());
        let bits = (high << 32 | u64::from(self.u32())) & ((1 << 53) - 1);
        bits as f64 / (1u64 << 53) as f64
    }
}

/// PyTorch's CPU generator, for one tensor of noise after another.
pub struct TorchNoise {
    rng: Mt19937,
    /// The second value of a pair, where only the first was asked for.
    kept: Option<f64>,
}

impl TorchNoise {
    /// A fresh generator. Any seed up to 2⁶⁴−1; PyTorch uses its low 32 bits.
    pub fn new(seed: u64) -> Self {
        Self { rng: Mt19937::new(seed), kept: None }
    }

    /// Standard normal noise as `torch.randn` draws it next on the CPU in float32, for a tensor of `len` elements
    /// (row-major).
    pub fn draw(&mut self, len: usize) -> Vec<f32> {
        if len < 16 {
            return (0..len).map(|_| self.one() as f32).collect();
        }
        let mut values: Vec<f32> = (0..len).map(|_| self.rng.f32()).collect();
        for block in values.as_chunks_mut::<16>().0 {
            box_muller_16(block);
        }
        // where 16 does not divide the length, the last 16 values are drawn anew
        if !len.is_multiple_of(16) {
            let mut tail: [f32; 16] = std::array::from_fn(|_| self.rng.f32());
            box_muller_16(&mut tail);
            values[len - 16..].copy_from_slice(&tail);
        }
        values
    }

    /// PyTorch's path for fewer than 16 values: pairs in double precision, the second of a pair kept for the next value.
    fn one(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let (u1, u2) = (self.rng.f64(), self.rng.f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = std::f64::consts::TAU * u1;
        self.kept = Some(radius * theta.sin());
        radius * theta.cos()
    }
}

/// Standard normal noise as `torch.randn` draws it first from a generator with `seed`: [`TorchNoise::draw`].
pub fn torch_randn(seed: u64, len: usize) -> Vec<f32> {
    TorchNoise::new(seed).draw(len)
}

/// Turns 16 uniform values into normal ones: value j and j + 8 make a pair. The angle is rounded to f32 as in PyTorch.
fn box_muller_16(block: &mut [f32; 16]) {
    const TAU: f32 = std::f32::consts::TAU;
    for j in 0..8 {
        let radius = (-2.0 * f64::from(1.0 - block[j]).ln()).sqrt();
        let theta = f64::from(TAU * block[j + 8]);
        block[j] = (radius * theta.cos()) as f32;
        block[j + 8] = (radius * theta.sin()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::torch_randn;

    /// fixtures/golden/torch_randn.json: first and last values and the sum, by PyTorch 2.11 on the CPU;
    /// keys are `seed:shape`.
    #[test]
    fn equals_torch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/torch_randn.json");
        let text = std::fs::read_to_string(path).expect("golden file");
        let cases: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        assert!(cases.len() >= 6);
        for (key, case) in &cases {
            let (seed, shape) = key.split_once(':').expect("seed:shape");
            let len = shape.split('x').map(|d| d.parse::<usize>().expect("number")).product();
            let got = torch_randn(seed.parse().expect("seed"), len);
            let list = |k: &str| -> Vec<f64> {
                case[k].as_array().expect(k).iter().filter_map(|v| v.as_f64()).collect()
            };
            let (first, last) = (list("first"), list("last"));
            for (i, want) in first.iter().enumerate() {
                assert!((f64::from(got[i]) - want).abs() < 1e-6, "{key}[{i}]: {} {want}", got[i]);
            }
            for (i, want) in last.iter().enumerate() {
                let x = got[len - last.len() + i];
                assert!((f64::from(x) - want).abs() < 1e-6, "{key}[…{i}]: {x} {want}");
            }
            let sum: f64 = got.iter().map(|&x| f64::from(x)).sum();
            assert!(
                (sum - case["sum"].as_f64().expect("sum")).abs() < 1e-7 * len as f64 + 1e-6,
                "{key} sum {sum}"
            );
        }
    }

    #[test]
    fn only_the_low_word_of_the_seed_counts() {
        assert_eq!(torch_randn(u64::MAX, 33), torch_randn(u64::from(u32::MAX), 33));
        assert_ne!(torch_randn(1, 33), torch_randn(2, 33));
        assert!(torch_randn(0, 0).is_empty());
    }
}
