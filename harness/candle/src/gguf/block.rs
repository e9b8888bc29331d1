//! Blocks of quantised numbers, taken apart into groups that share a scale; values are rounded as llama.cpp's `gguf` package
//! rounds them.
use crate::cpu::{Group, Kind};
use half::{bf16, f16};

fn words<const N: usize>(bytes: &[u8], to: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    to.iter_mut().zip(bytes.as_chunks::<N>().0).for_each(|(v, b)| *v = read(*b));
}

/// How a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// 32-bit numbers.
    F32,
    /// 16-bit numbers.
    F16,
    /// 16-bit numbers with f32's exponent.
    Bf16,
    /// Four bits from −8, a scale to 32.
    Q4_0,
    /// Four bits, scale and shift to 32.
    Q4_1,
    /// Eight bits, a scale to 32.
    Q8_0,
    /// Four bits, scale and shift of six bits to 32, which share another pair to 256.
    Q4K,
    /// Six bits, a scale of eight bits to 16, which share another to 256.
    Q6K,
}

impl TensorType {
    /// By the number that files use.
    ///
    /// # Errors
    /// The type's name, or its number where it is none of llama.cpp's.
    pub fn from_number(number: u32) -> Result<Self, String> {
        const OTHERS: [(u32, &str); 12] = [
            (6, "Q5_0"),
            (7, "Q5_1"),
            (9, "Q8_1"),
            (10, "Q2_K"),
            (11, "Q3_K"),
            (13, "Q5_K"),
            (15, "Q8_K"),
            (16, "IQ2_XXS"),
            (20, "IQ4_NL"),
            (23, "IQ4_XS"),
            (28, "F64"),
            (39, "MXFP4"),
        ];
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            14 => Self::Q6K,
            30 => Self::Bf16,
            n => {
                let name = OTHERS.iter().find(|o| o.0 == n).map(|o| o.1.to_owned());
                return Err(name.unwrap_or_else(|| format!("type {n}")));
            }
        })
    }

    /// Those that are read, in words.
    pub(crate) const ALL: &'static str = "F32, F16, BF16, Q4_0, Q4_1, Q8_0, Q4_K or Q6_K";

    /// Numbers and bytes of a block.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q6K => (256, 210),
        }
    }

    /// How a matrix keeps such numbers.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::F32,
            Self::F16 => Kind::F16,
            Self::Bf16 => Kind::Bf16,
            Self::Q4_0 => Kind::Nibbles,
            Self::Q4_1 => Kind::Shifted,
            Self::Q8_0 => Kind::Bytes32,
            Self::Q4K => Kind::ShiftedSingle,
            Self::Q6K => Kind::Bytes16,
        }
    }

    /// Group `index` of a row of quantised numbers, as [`Kind::group`] counts them.
    pub(crate) fn group(self, row: &[u8], index: usize) -> Group {
        let (numbers, bytes) = self.block();
        let per_block = numbers / self.kind().group();
        let block = &row[index / per_block * bytes..][..bytes];
        match self {
            Self::Q4_0 => nibbles(half_at(block, 0), 0.0, &block[2..], -8),
            Self::Q4_1 => nibbles(half_at(block, 0), half_at(block, 2), &block[4..], 0),
            Self::Q8_0 => {
                let numbers = std::array::from_fn(|i| block[2 + i] as i8);
                Group { scale: half_at(block, 0), shift: 0.0, numbers }
            }
            Self::Q4K => q4k(block, index % per_block),
            _ => q6k(block, index % per_block),
        }
    }

    /// All numbers of a row.
    pub(crate) fn row(self, row: &[u8], to: &mut [f32]) {
        match self {
            Self::F32 => return words(row, to, f32::from_le_bytes),
            Self::F16 => return words(row, to, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Self::Bf16 => return words(row, to, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => {}
        }
        let shifted = [Self::Q4_1, Self::Q4K].contains(&self);
        for (g, values) in to.chunks_exact_mut(self.kind().group()).enumerate() {
            let group = self.group(row, g);
            for (v, n) in values.iter_mut().zip(group.numbers) {
                let scaled = group.scale * f32::from(n);
                *v = if shifted { scaled + group.shift } else { scaled };
            }
        }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as many")
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes(array(bytes, at)).to_f32()
}

/// Low halves of sixteen bytes, then the high ones.
fn nibbles(scale: f32, shift: f32, packed: &[u8], least: i8) -> Group {
    let number = |i: usize| if i < 16 { packed[i] & 15 } else { packed[i - 16] >> 4 };
    Group { scale, shift, numbers: std::array::from_fn(|i| number(i) as i8 + least) }
}

/// One of the eight groups of 32: scales and shifts of six bits are spread over twelve bytes.
fn q4k(block: &[u8], index: usize) -> Group {
    let (scale, shift) = (half_at(block, 0), half_at(block, 2));
    let packed = &block[4..16];
    let (a, b) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        let (low, high) = (packed[index + 4], index - 4);
        (low & 15 | packed[high] >> 6 << 4, low >> 4 | packed[index] >> 6 << 4)
    };
    let pairs = &block[16 + index / 2 * 32..][..32];
    let number = |i: usize| (if index.is_multiple_of(2) { pairs[i] & 15 } else { pairs[i] >> 4 }) as i8;
    Group {
        scale: scale * f32::from(a),
        shift: -(shift * f32::from(b)),
        numbers: std::array::from_fn(number),
    }
}

/// One of the sixteen groups of 16.
fn q6k(block: &[u8], index: usize) -> Group {
    let (half, quarter, side) = (index / 8, index % 8 / 2, index % 2);
    let low = &block[half * 64 + quarter % 2 * 32 + side * 16..][..16];
    let high = &block[128 + half * 32 + side * 16..][..16];
    let scale = half_at(block, 208) * f32::from(block[192 + index] as i8);
    let number = |i: usize| {
        let four = if quarter < 2 { low[i] & 15 } else { low[i] >> 4 };
        (four | (high[i] >> (2 * quarter) & 3) << 4) as i8 - 32
    };
    Group { scale, shift: 0.0, numbers: std::array::from_fn(|i| if i < 16 { number(i) } else { 0 }) }
}
