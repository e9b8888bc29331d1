//! The fingerprint of numbers in a row, whatever shape they are given: signs along stretches that begin where the numbers
//! themselves say.

use super::sketch::{LINE_BITS, Line};

/// One in so many places begins a line that is kept, the same ones wherever a sequence begins and ends.
const EVERY: u32 = 1 << 12;

/// Collects the lines of a sequence whose bytes arrive in order.
pub(super) struct Sequence {
    /// Bytes of a number, and the bytes before the first.
    size: usize,
    skip: usize,
    salt: u32,
    /// How many lines there can honestly be.
    most: usize,
    /// The last numbers' signs, the oldest first.
    line: Line,
    numbers: usize,
    at: usize,
    zero: bool,
    lines: Vec<Line>,
}

impl Sequence {
    /// Numbers of `size` bytes, the sign in the last byte's top bit, from the byte `skip` on, of so many bytes in all.
    pub(super) fn new(size: usize, skip: usize, bytes: u64, salt: u64) -> Self {
        let most = bytes as usize / size / EVERY as usize * 4 + 64;
        let salt = (salt ^ (salt >> 32)) as u32;
        let line = Line::EMPTY;
        Self { size, skip, salt, most, line, numbers: 0, at: 0, zero: true, lines: Vec::new() }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        for &byte in &bytes[skipped..] {
            self.at += 1;
            let last = self.at == self.size;
            self.zero &= if last { byte & 0x7f == 0 } else { byte == 0 };
            if last {
                self.number((!self.zero).then_some(byte & 0x80 != 0));
                (self.at, self.zero) = (0, true);
            }
        }
    }

    fn number(&mut self, sign: Option<bool>) {
        self.line.shift(sign);
        self.numbers += 1;
        if self.numbers < LINE_BITS || self.lines.len() >= self.most {
            return;
        }
        let chosen = (self.line.name() ^ self.salt).wrapping_mul(0x9E37_79B1) < u32::MAX / EVERY;
        if chosen && let Some(line) = self.line.finish() {
            // A sequence that repeats itself says the same each time.
            if self.lines.last() != Some(&line) {
                self.lines.push(line);
            }
        }
    }

    /// The lines kept.
    pub(super) fn finish(mut self) -> Vec<Line> {
        self.lines.sort_unstable_by_key(Line::order);
        self.lines.dedup_by_key(|line| line.key);
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f32 / (1u64 << 31) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    fn lines(bytes: &[u8], size: usize, skip: usize) -> Vec<Line> {
        let mut sequence = Sequence::new(size, skip, bytes.len() as u64, 7);
        bytes.chunks(1000).for_each(|chunk| sequence.push(chunk));
        sequence.finish()
    }

    #[test]
    fn the_same_numbers_give_the_same_lines_wherever_they_lie() {
        let values = noise(200_000, 1);
        let plain: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let found = lines(&plain, 4, 0);
        assert!((20..100).contains(&found.len()), "{}", found.len());
        // Behind others, negated, and behind a byte that shifts all.
        let before: Vec<u8> = noise(5000, 2).iter().flat_map(|v| v.to_le_bytes()).collect();
        let negated: Vec<u8> = values.iter().flat_map(|v| (-v).to_le_bytes()).collect();
        let shifted = [[0x55].as_slice(), &plain].concat();
        for other in [lines(&[before, negated].concat(), 4, 0), lines(&shifted, 4, 1)] {
            assert!(found.iter().all(|line| other.contains(line)));
        }
        assert!(found.iter().all(|line| !lines(&shifted, 4, 0).contains(line)));
        assert!(lines(&vec![0x40; 4_000_000], 4, 0).len() <= 1, "what repeats itself takes no memory");
    }
}
