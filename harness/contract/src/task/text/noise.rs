//! The noise of sampling: standard Gumbel numbers that every engine can draw for itself, in any language and on any
//! device, one for each position of an answer and each token of the vocabulary.
//!
//! Of seed s, position p (0 is the answer's first token) and token t: the ChaCha block function of 8 rounds with the
//! original layout (four constant words, eight of key, two of block counter, two of nonce, little-endian) is taken with
//! the key s as u64 little-endian followed by 24 zero bytes, the counter ⌊t / 16⌋ and the nonce p; word w = t mod 16 of
//! its output gives u = (w + 0.5) / 2³², and the number is −ln(−ln u), computed in double precision and rounded to f32.
//!
//! A sample at temperature T is the token with the largest logit / T + noise, the lowest of several.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// The noise of one request.
#[derive(Debug, Clone)]
pub struct Noise(ChaCha8Rng);

impl Noise {
    /// The noise of a seed.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The numbers of a position, for the tokens from 0 on, as many as `to` holds.
    pub fn fill(&mut self, position: u64, to: &mut [f32]) {
        self.0.set_stream(position);
        self.0.set_word_pos(0);
        to.iter_mut().for_each(|value| *value = number(self.0.next_u32()));
    }
}

fn number(word: u32) -> f32 {
    let u = (f64::from(word) + 0.5) / 4_294_967_296.0;
    -(-u.ln()).ln() as f32
}

/// The number of one token at one position.
pub fn gumbel(seed: u64, position: u64, token: u32) -> f32 {
    let Noise(mut words) = Noise::new(seed);
    words.set_stream(position);
    words.set_word_pos(u128::from(token));
    number(words.next_u32())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ChaCha's block function by its definition, so that no library's way of counting can change the noise.
    fn block(seed: u64, position: u64, counter: u64) -> [u32; 16] {
        let mut start = [0u32; 16];
        start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        (start[4], start[5]) = (seed as u32, (seed >> 32) as u32);
        (start[12], start[13]) = (counter as u32, (counter >> 32) as u32);
        (start[14], start[15]) = (position as u32, (position >> 32) as u32);
        let mut x = start;
        let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
            for (to, from, other, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                x[to] = x[to].wrapping_add(x[from]);
                x[other] = (x[other] ^ x[to]).rotate_left(by);
            }
        };
        for _ in 0..4 {
            for i in 0..4 {
                quarter(i, i + 4, i + 8, i + 12);
            }
            for i in 0..4 {
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
            }
        }
        std::array::from_fn(|i| x[i].wrapping_add(start[i]))
    }

    #[test]
    fn noise_is_what_the_definition_says() {
        for (seed, position) in [(0, 0), (7, 1), ((1 << 53) - 1, 4095)] {
            let mut values = vec![0.0; 70];
            Noise::new(seed).fill(position, &mut values);
            for (token, value) in (0u32..).zip(values) {
                let word = block(seed, position, u64::from(token / 16))[token as usize % 16];
                assert_eq!(value.to_bits(), number(word).to_bits(), "{seed} {position} {token}");
                assert_eq!(value.to_bits(), gumbel(seed, position, token).to_bits());
            }
        }
    }

    /// The known answers of PROTOCOL.md.
    #[test]
    fn known_answers() {
        let words: Vec<String> = [(0, 0, 0), (0, 0, 1), (7, 0, 0), (7, 3, 0), (7, 3, 2047)]
            .into_iter()
            .map(|(seed, position, token)| format!("{:.6}", gumbel(seed, position, token)))
            .collect();
        assert_eq!(words, KNOWN);
    }

    const KNOWN: [&str; 5] = ["-0.516029", "1.725820", "-0.562415", "0.932858", "-0.909340"];

    #[test]
    fn noise_is_gumbels() {
        let mut values = vec![0.0f32; 1 << 16];
        Noise::new(1).fill(0, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        // Euler's constant and π²/6, within five standard errors.
        assert!((mean - 0.577_216).abs() < 5.0 * (1.644_934 / n).sqrt(), "{mean}");
        assert!((variance - 1.644_934).abs() < 0.08, "{variance}");
        assert!(values.iter().all(|value| value.is_finite()));
        assert!(number(0).is_finite() && number(u32::MAX).is_finite());
    }
}
