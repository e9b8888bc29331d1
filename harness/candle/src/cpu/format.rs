//! How the numbers of a [`super::matrix::Matrix`] are stored: panels of 32 columns, row after row of the inner dimension, in
//! groups that share a scale where they are quantised. One text per format for products with one row, for widening, and
//! for reading a column.
use super::pack::COLUMNS;
use super::register::Lane;
use half::{bf16, f16};
use std::marker::PhantomData;

/// Values of one column that share a scale: value i is `scale·numbers[i] + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Group {
    pub(crate) scale: f32,
    /// Zero where the format has none.
    pub(crate) shift: f32,
    /// As many as the format's group has.
    pub(crate) numbers: [i8; 32],
}

/// A way of storing panels.
///
/// # Safety
/// `BYTES` bytes from the pointers of a group are read (and written, by `put` and `put_float`), never more, and only with the
/// instructions that the lane needs.
pub(super) unsafe trait Format {
    /// Rows of the inner dimension that share a scale; 1 where numbers are stored as they are.
    const GROUP: usize;
    /// Bytes of a group in a panel, a multiple of 64.
    const BYTES: usize;
    /// Whether numbers are scaled.
    const SCALED: bool;
    /// Whether scaled numbers are shifted too.
    const SHIFTED: bool;
    /// Rows that are unpacked at once.
    const STEP: usize;
    /// Rows `row … row + STEP` of a group, `C` registers from `column`, each times its value of `x`, added to `sums`.
    unsafe fn step<L: Lane, const C: usize>(
        group: *const u8,
        row: usize,
        column: usize,
        x: *const f32,
        sums: &mut [L; C],
    );
    /// The same rows, one register from `column`, as f32 in lines of 32.
    unsafe fn widen<L: Lane>(group: *const u8, row: usize, column: usize, to: *mut f32);
    /// Scales of one register of columns.
    unsafe fn scale<L: Lane>(_group: *const u8, _column: usize) -> L {
        // SAFETY: as the caller vouches.
        unsafe { L::splat(1.0) }
    }
    /// Shifts of one register of columns.
    unsafe fn shift<L: Lane>(_group: *const u8, _column: usize) -> L {
        // SAFETY: as the caller vouches.
        unsafe { L::zero() }
    }
    /// Value in a row of a group and a column.
    fn value(group: &[u8], row: usize, column: usize) -> f32;
    /// Stores a column of a group of numbers that are as they are.
    fn put_float(_group: &mut [u8], _column: usize, _value: f32) {}
    /// Stores a column of a group of scaled numbers.
    fn put(_group: &mut [u8], _column: usize, _numbers: &Group) {}
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as many")
}

/// A type in which scales, and numbers as they are, are stored.
pub(super) trait Float {
    const BYTES: usize;
    /// # Safety
    /// As for [`Lane`].
    unsafe fn load<L: Lane>(p: *const u8) -> L;
    fn read(bytes: &[u8], index: usize) -> f32;
    fn write(bytes: &mut [u8], index: usize, value: f32);
}

/// f32.
pub(super) struct Single;
/// f16.
pub(super) struct Half;
/// bf16.
pub(super) struct Brain;

macro_rules! float {
    ($name:ident, $bytes:literal, $pointer:ty, $load:ident, $read:expr, $write:expr) => {
        impl Float for $name {
            const BYTES: usize = $bytes;
            #[inline(always)]
            unsafe fn load<L: Lane>(p: *const u8) -> L {
                // SAFETY: as the caller vouches.
                unsafe { L::$load(p.cast::<$pointer>()) }
            }
            fn read(bytes: &[u8], index: usize) -> f32 {
                $read(bytes_at(bytes, index * $bytes))
            }
            fn write(bytes: &mut [u8], index: usize, value: f32) {
                bytes[index * $bytes..][..$bytes].copy_from_slice(&$write(value));
            }
        }
    };
}
float!(Single, 4, f32, load, f32::from_le_bytes, f32::to_le_bytes);
float!(Half, 2, u16, halves, |b| f16::from_le_bytes(b).to_f32(), |v| f16::from_f32(v).to_le_bytes());
float!(Brain, 2, u16, brains, |b| bf16::from_le_bytes(b).to_f32(), |v| bf16::from_f32(v).to_le_bytes());

/// Numbers as they are.
pub(super) struct Plain<F>(PhantomData<F>);

// SAFETY: a group is one row of 32 values.
unsafe impl<F: Float> Format for Plain<F> {
    const GROUP: usize = 1;
    const BYTES: usize = COLUMNS * F::BYTES;
    const SCALED: bool = false;
    const SHIFTED: bool = false;
    const STEP: usize = 1;
    #[inline(always)]
    unsafe fn step<L: Lane, const C: usize>(
        group: *const u8,
        _: usize,
        column: usize,
        x: *const f32,
        sums: &mut [L; C],
    ) {
        // SAFETY: as the caller vouches.
        unsafe {
            let x = L::splat(*x);
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(x, F::load(group.add((column + c * L::N) * F::BYTES)));
            }
        }
    }
    #[inline(always)]
    unsafe fn widen<L: Lane>(group: *const u8, _: usize, column: usize, to: *mut f32) {
        // SAFETY: as the caller vouches.
        unsafe { F::load::<L>(group.add(column * F::BYTES)).store(to.add(column)) }
    }
    fn value(group: &[u8], _: usize, column: usize) -> f32 {
        F::read(group, column)
    }
    fn put_float(group: &mut [u8], column: usize, value: f32) {
        F::write(group, column, value);
    }
}

/// Signed bytes in groups of `GROUP` with a scale.
pub(super) struct Bytes<F, const GROUP: usize>(PhantomData<F>);

impl<F: Float, const GROUP: usize> Bytes<F, GROUP> {
    const HEAD: usize = COLUMNS * F::BYTES;
}

// SAFETY: a group is 32 scales and `GROUP` rows of 32 bytes.
unsafe impl<F: Float, const GROUP: usize> Format for Bytes<F, GROUP> {
    const GROUP: usize = GROUP;
    const BYTES: usize = Self::HEAD + GROUP * COLUMNS;
    const SCALED: bool = true;
    const SHIFTED: bool = false;
    const STEP: usize = 1;
    #[inline(always)]
    unsafe fn step<L: Lane, const C: usize>(
        group: *const u8,
        row: usize,
        column: usize,
        x: *const f32,
        sums: &mut [L; C],
    ) {
        // SAFETY: as the caller vouches.
        unsafe {
            let x = L::splat(*x);
            let line = group.add(Self::HEAD + row * COLUMNS + column);
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(x, L::bytes(line.add(c * L::N).cast()));
            }
        }
    }
    #[inline(always)]
    unsafe fn widen<L: Lane>(group: *const u8, row: usize, column: usize, to: *mut f32) {
        // SAFETY: as the caller vouches.
        unsafe { L::bytes(group.add(Self::HEAD + row * COLUMNS + column).cast()).store(to.add(column)) }
    }
    #[inline(always)]
    unsafe fn scale<L: Lane>(group: *const u8, column: usize) -> L {
        // SAFETY: as the caller vouches.
        unsafe { F::load(group.add(column * F::BYTES)) }
    }
    fn value(group: &[u8], row: usize, column: usize) -> f32 {
        F::read(group, column) * f32::from(group[Self::HEAD + row * COLUMNS + column] as i8)
    }
    fn put(group: &mut [u8], column: usize, numbers: &Group) {
        F::write(group, column, numbers.scale);
        for (row, n) in numbers.numbers[..GROUP].iter().enumerate() {
            group[Self::HEAD + row * COLUMNS + column] = *n as u8;
        }
    }
}

/// Four bits in groups of 32 with a scale: from −8 if `SIGNED`, else from 0 and with a shift. A word of 32 bits holds eight
/// rows of a column.
pub(super) struct Nibbles<F, const SIGNED: bool>(PhantomData<F>);

/// Rows to a word.
const WORD: usize = 8;

impl<F: Float, const SIGNED: bool> Nibbles<F, SIGNED> {
    const SCALES: usize = COLUMNS * F::BYTES;
    const HEAD: usize = if SIGNED { Self::SCALES } else { 2 * Self::SCALES };
    const LEAST: i8 = if SIGNED { -8 } else { 0 };

    fn word(row: usize, column: usize) -> usize {
        Self::HEAD + (row / WORD * COLUMNS + column) * 4
    }
}

// SAFETY: a group is 32 scales, perhaps 32 shifts, and four lines of 32 words.
unsafe impl<F: Float, const SIGNED: bool> Format for Nibbles<F, SIGNED> {
    const GROUP: usize = 32;
    const BYTES: usize = Self::HEAD + 32 / WORD * COLUMNS * 4;
    const SCALED: bool = true;
    const SHIFTED: bool = !SIGNED;
    const STEP: usize = WORD;
    #[inline(always)]
    unsafe fn step<L: Lane, const C: usize>(
        group: *const u8,
        row: usize,
        column: usize,
        x: *const f32,
        sums: &mut [L; C],
    ) {
        // SAFETY: as the caller vouches.
        unsafe {
            let words = group.add(Self::word(row, column));
            let mut numbers = [[L::zero(); WORD]; C];
            for (c, n) in numbers.iter_mut().enumerate() {
                *n = L::nibbles::<SIGNED>(L::words(words.add(c * L::N * 4).cast()));
            }
            #[allow(clippy::needless_range_loop, reason = "the index is also the row")]
            for i in 0..WORD {
                let x = L::splat(*x.add(i));
                for c in 0..C {
                    sums[c] = sums[c].fma(x, numbers[c][i]);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn widen<L: Lane>(group: *const u8, row: usize, column: usize, to: *mut f32) {
        // SAFETY: as the caller vouches.
        unsafe {
            let numbers = L::nibbles::<SIGNED>(L::words(group.add(Self::word(row, column)).cast()));
            for (i, n) in numbers.into_iter().enumerate() {
                n.store(to.add(i * COLUMNS + column));
            }
        }
    }
    #[inline(always)]
    unsafe fn scale<L: Lane>(group: *const u8, column: usize) -> L {
        // SAFETY: as the caller vouches.
        unsafe { F::load(group.add(column * F::BYTES)) }
    }
    #[inline(always)]
    unsafe fn shift<L: Lane>(group: *const u8, column: usize) -> L {
        // SAFETY: as the caller vouches.
        unsafe { F::load(group.add(Self::SCALES + column * F::BYTES)) }
    }
    fn value(group: &[u8], row: usize, column: usize) -> f32 {
        let word = u32::from_le_bytes(bytes_at(group, Self::word(row, column)));
        let number = (word >> (4 * (row % WORD)) & 15) as i8 + Self::LEAST;
        let scaled = F::read(group, column) * f32::from(number);
        if SIGNED { scaled } else { scaled + F::read(&group[Self::SCALES..], column) }
    }
    fn put(group: &mut [u8], column: usize, numbers: &Group) {
        F::write(group, column, numbers.scale);
        if !SIGNED {
            F::write(&mut group[Self::SCALES..], column, numbers.shift);
        }
        for (i, eight) in numbers.numbers.chunks_exact(WORD).enumerate() {
            let bits = |n: &i8| (n - Self::LEAST) as u32 & 15;
            let word = eight.iter().rev().fold(0u32, |word, n| word << 4 | bits(n));
            let at = Self::word(i * WORD, column);
            group[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
}
