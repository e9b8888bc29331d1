//! Seeded randomness. Every draw is a function of a key (data and purpose) and a block number,
//! never of the thread that makes it or of the order in which blocks are computed.

use edgemaxx_contract::digest::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A key from which independent streams are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(Digest);

impl Seed {
    /// The key of some bytes: usually the digest of the data that is analysed.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Digest::of(bytes))
    }

    /// A key for one purpose; different purposes share no draws.
    #[must_use]
    pub fn purpose(&self, name: &str) -> Self {
        Self(Digest::of_fields([self.0.as_bytes().as_slice(), name.as_bytes()]))
    }

    /// The generator of one block of work.
    pub fn stream(&self, block: u64) -> Stream {
        let mut rng = ChaCha8Rng::from_seed(*self.0.as_bytes());
        rng.set_stream(block);
        Stream { rng, spare: None }
    }
}

/// A ChaCha8 stream with the few draws that this crate needs.
#[derive(Debug, Clone)]
pub struct Stream {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Stream {
    /// Uniform in `0..bound`, without bias (Lemire 2019, multiply and reject); `bound` ≥ 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.rng.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Uniform in the open interval (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.rng.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = u * u + v * v;
            if square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(v * scale);
                return u * scale;
            }
        }
    }

    /// χ² with an integral number of degrees of freedom.
    pub fn chi_squared(&mut self, freedom: usize) -> f64 {
        (0..freedom).map(|_| self.normal().powi(2)).sum()
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let draw = |seed: Seed, block| seed.stream(block).below(u32::MAX);
        let seed = Seed::of("data");
        assert_eq!(draw(seed, 3), draw(seed, 3));
        assert_ne!(draw(seed, 3), draw(seed, 4));
        assert_ne!(draw(seed.purpose("a"), 3), draw(seed.purpose("b"), 3));
    }

    #[test]
    fn draws_have_the_moments_they_should() {
        let mut stream = Seed::of("moments").stream(0);
        let n = 200_000;
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let square = normal.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        let fourth = normal.iter().map(|x| x.powi(4)).sum::<f64>() / f64::from(n);
        // five standard errors each
        assert!(mean.abs() < 0.0112 && (square - 1.0).abs() < 0.0158 && (fourth - 3.0).abs() < 0.11);
        let mut counts = [0u32; 5];
        (0..n).for_each(|_| counts[stream.below(5) as usize] += 1);
        assert!(counts.iter().all(|&count| count.abs_diff(40_000) < 900), "{counts:?}");
        let chi: f64 = (0..20_000).map(|_| stream.chi_squared(4)).sum::<f64>() / 20_000.0;
        assert!((chi - 4.0).abs() < 0.1);
    }

    #[test]
    fn shuffle_keeps_the_items() {
        let mut items: Vec<u32> = (0..50).collect();
        Seed::of("shuffle").stream(0).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
