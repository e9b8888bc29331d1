//! The fingerprint of one matrix: signs along a few of its rows and columns.

use safetensors::Dtype;

/// Signs kept of a line; the first [`KEY_BITS`] name it, the others measure the distance.
pub(super) const LINE_BITS: usize = 256;
const KEY_BITS: usize = 32;
/// A line must have this many weights to be told from another by chance.
pub(super) const LEAST_BITS: usize = 96;
/// Lines kept of a matrix, of each direction.
const KEPT: usize = 128;

/// Signs along a row or a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The signs of the first weights; equal keys make two lines candidates for a match.
    pub(super) key: u32,
    negative: [u64; 4],
    /// Zeros have no sign.
    known: [u64; 4],
}

impl Line {
    pub(super) const EMPTY: Self = Self { key: 0, negative: [0; 4], known: [0; 4] };

    fn set(&mut self, bit: usize, sign: Option<bool>) {
        if let Some(negative) = sign {
            self.known[bit / 64] |= 1 << (bit % 64);
            self.negative[bit / 64] |= u64::from(negative) << (bit % 64);
        }
    }

    /// Forgets the oldest sign for the next one.
    pub(super) fn shift(&mut self, sign: Option<bool>) {
        let shift = |words: &mut [u64; 4], bit: bool| {
            for word in 0..3 {
                words[word] = words[word] >> 1 | words[word + 1] << 63;
            }
            words[3] = words[3] >> 1 | u64::from(bit) << 63;
        };
        shift(&mut self.negative, sign == Some(true));
        shift(&mut self.known, sign.is_some());
    }

    /// The key that [`Self::finish`] would give it.
    pub(super) fn name(&self) -> u32 {
        let negated = self.negative[0] & 1 == 1;
        (if negated { !self.negative[0] & self.known[0] } else { self.negative[0] }) as u32
    }

    /// An order by content.
    pub(super) fn order(&self) -> (u32, [u64; 4]) {
        (self.key.wrapping_mul(0x9E37_79B1), self.negative)
    }

    /// Makes a line equal to its negation and fixes its key; `None` where it says too little.
    pub(super) fn finish(mut self) -> Option<Self> {
        let known: u32 = self.known.iter().map(|w| w.count_ones()).sum();
        if (known as usize) < LEAST_BITS / 2 {
            return None;
        }
        if self.negative[0] & 1 == 1 {
            for (negative, known) in self.negative.iter_mut().zip(self.known) {
                *negative = !*negative & known;
            }
        }
        self.key = self.negative[0] as u32;
        let telling = (8..=24).contains(&self.key.count_ones());
        telling.then_some(self)
    }

    /// Differing signs and signs compared, without the key's.
    pub(super) fn distance(&self, other: &Self) -> (u32, u32) {
        let mut out = (0, 0);
        for i in 0..4 {
            let key = if i == 0 { (1 << KEY_BITS) - 1 } else { 0 };
            let both = self.known[i] & other.known[i] & !key;
            out.0 += ((self.negative[i] ^ other.negative[i]) & both).count_ones();
            out.1 += both.count_ones();
        }
        out
    }
}

/// Reads a stored number's sign without converting it.
#[derive(Clone, Copy)]
pub(super) struct SignReader {
    size: usize,
}

impl SignReader {
    /// `None` for formats that are not numbers with a sign in their highest bit.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        let size = match dtype {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            Dtype::I8 | Dtype::F8_E4M3 | Dtype::F8_E5M2 => 1,
            _ => return None,
        };
        Some(Self { size })
    }

    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        self.size
    }

    /// Whether the number is negative; `None` for zero. Little-endian, sign in the last byte's top
    /// bit for all formats of [`SignReader::of`], two's complement included.
    fn sign(self, bytes: &[u8]) -> Option<bool> {
        let top = bytes[self.size - 1];
        let zero = top & 0x7f == 0 && bytes[..self.size - 1].iter().all(|b| *b == 0);
        // The smallest 8-bit integer looks like a float's negative zero; it does not occur in
        // symmetric quantisation.
        (!zero).then_some(top & 0x80 != 0)
    }
}

/// Collects the lines of a matrix whose rows arrive in order.
pub(super) struct Sketcher {
    reader: SignReader,
    columns: usize,
    /// First column of the rows' window and its width.
    window: (usize, usize),
    /// First row of the columns' window and its height.
    tall: (usize, usize),
    row: usize,
    across: Vec<Line>,
    down: Vec<Line>,
}

impl Sketcher {
    /// A matrix of `rows`×`columns`; `salt` moves the windows that are read.
    pub(super) fn new(reader: SignReader, rows: usize, columns: usize, salt: u64) -> Self {
        let window = |length: usize| {
            let width = length.min(LINE_BITS);
            ((salt % (length - width + 1) as u64) as usize, width)
        };
        let (wide, tall) = (window(columns), window(rows));
        Self {
            reader,
            columns,
            window: wide,
            tall,
            row: 0,
            across: Vec::new(),
            down: if tall.1 >= LEAST_BITS { vec![Line::EMPTY; columns] } else { Vec::new() },
        }
    }

    /// Takes the next row's bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let size = self.reader.size;
        let sign = |i: usize| self.reader.sign(&bytes[i * size..(i + 1) * size]);
        let (first, width) = self.window;
        if width >= LEAST_BITS {
            let mut line = Line::EMPTY;
            (0..width).for_each(|bit| line.set(bit, sign(first + bit)));
            self.across.extend(line.finish());
        }
        let (first, height) = self.tall;
        if (first..first + height).contains(&self.row) && !self.down.is_empty() {
            for column in 0..self.columns {
                self.down[column].set(self.row - first, sign(column));
            }
        }
        self.row += 1;
    }

    /// The lines kept: of each direction those whose keys hash lowest.
    pub(super) fn finish(self) -> [Vec<Line>; 2] {
        let down = self.down.into_iter().filter_map(Line::finish).collect();
        [lowest(self.across), lowest(down)]
    }
}

/// Keeps lines by content, so that two copies keep the same ones in whatever order they are stored.
fn lowest(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_unstable_by_key(Line::order);
    lines.dedup_by_key(|l| l.key);
    lines.truncate(KEPT);
    lines
}
