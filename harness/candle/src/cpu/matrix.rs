//! The right matrix of a product as a language model keeps it: in the type or the quantisation that its file has, turned
//! into panels once, and widened in registers whenever it is used.
use super::format::{Brain, Bytes, Format, Group, Half, Nibbles, Plain, Single};
use super::pack::{COLUMNS, Line};
use super::simd::Isa;
use super::tile::{Left, Room, panel};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::ops::Range;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As they are.
    F32,
    /// As they are.
    F16,
    /// As they are.
    Bf16,
    /// Signed bytes, an f16 scale to 32.
    Bytes32,
    /// Signed bytes, an f32 scale to 16.
    Bytes16,
    /// Four bits from −8, an f16 scale to 32.
    Nibbles,
    /// Four bits from 0, f16 scale and shift to 32.
    Shifted,
    /// Four bits from 0, f32 scale and shift to 32.
    ShiftedSingle,
}

/// Runs `$body` with `$format` standing for the format of `$kind`.
macro_rules! with_format {
    ($kind:expr, $format:ident => $body:expr) => {
        match $kind {
            Kind::F32 => {
                type $format = Plain<Single>;
                $body
            }
            Kind::F16 => {
                type $format = Plain<Half>;
                $body
            }
            Kind::Bf16 => {
                type $format = Plain<Brain>;
                $body
            }
            Kind::Bytes32 => {
                type $format = Bytes<Half, 32>;
                $body
            }
            Kind::Bytes16 => {
                type $format = Bytes<Single, 16>;
                $body
            }
            Kind::Nibbles => {
                type $format = Nibbles<Half, true>;
                $body
            }
            Kind::Shifted => {
                type $format = Nibbles<Half, false>;
                $body
            }
            Kind::ShiftedSingle => {
                type $format = Nibbles<Single, false>;
                $body
            }
        }
    };
}

impl Kind {
    /// Numbers that share a scale.
    pub(crate) fn group(self) -> usize {
        with_format!(self, F => F::GROUP)
    }
}

/// A matrix of `inner` rows and as many columns as results.
pub(crate) struct Matrix {
    kind: Kind,
    inner: usize,
    columns: usize,
    /// Bytes of a panel of 32 columns.
    stride: usize,
    data: MmapMut,
}

impl Matrix {
    /// Packs numbers as they are: `read` fills in the `inner` values of a column.
    pub(crate) fn of_floats(
        kind: Kind,
        inner: usize,
        columns: usize,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> std::io::Result<Self> {
        Self::packed(kind, inner, columns, |column, to, stored| {
            let mut values = vec![0f32; inner];
            read(column, &mut values);
            with_format!(kind, F => {
                for (group, v) in stored.chunks_exact_mut(F::BYTES).zip(values) {
                    F::put_float(group, to, v);
                }
            });
        })
    }

    /// Packs scaled numbers: `read` gives group `g` of a column.
    pub(crate) fn of_groups(
        kind: Kind,
        inner: usize,
        columns: usize,
        read: impl Fn(usize, usize) -> Group + Sync,
    ) -> std::io::Result<Self> {
        Self::packed(kind, inner, columns, |column, to, stored| {
            with_format!(kind, F => {
                for (g, group) in stored.chunks_exact_mut(F::BYTES).enumerate() {
                    F::put(group, to, &read(column, g));
                }
            });
        })
    }

    /// Packs numbers that are quantised on the way: `read` fills in the `inner` values of a column, `group` makes 32 of them
    /// one group.
    pub(crate) fn of_quantised(
        kind: Kind,
        inner: usize,
        columns: usize,
        read: impl Fn(usize, &mut [f32]) + Sync,
        group: impl Fn(&[f32; 32]) -> Group + Sync,
    ) -> std::io::Result<Self> {
        Self::packed(kind, inner, columns, |column, to, stored| {
            let mut values = vec![0f32; inner];
            read(column, &mut values);
            with_format!(kind, F => {
                for (stored, values) in stored.chunks_exact_mut(F::BYTES).zip(values.as_chunks::<32>().0) {
                    F::put(stored, to, &group(values));
                }
            });
        })
    }

    /// Packs panels in parallel: `fill` stores a column of the matrix as a column of a panel.
    fn packed(
        kind: Kind,
        inner: usize,
        columns: usize,
        fill: impl Fn(usize, usize, &mut [u8]) + Sync,
    ) -> std::io::Result<Self> {
        assert!(inner > 0 && columns > 0 && inner.is_multiple_of(kind.group()));
        let stride = with_format!(kind, F => inner / F::GROUP * F::BYTES);
        let mut data = MmapMut::map_anon(columns.div_ceil(COLUMNS) * stride)?;
        #[cfg(target_os = "linux")]
        let _ = data.advise(memmap2::Advice::HugePage); // only faster where the system grants it
        data.par_chunks_mut(stride).enumerate().for_each(|(p, stored)| {
            let from = p * COLUMNS;
            for column in from..columns.min(from + COLUMNS) {
                fill(column, column - from, stored);
            }
        });
        Ok(Self { kind, inner, columns, stride, data })
    }

    /// Length of the inner dimension.
    pub(crate) fn inner(&self) -> usize {
        self.inner
    }

    /// Results per row.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Panels of 32 columns.
    pub(crate) fn panels(&self) -> usize {
        self.columns.div_ceil(COLUMNS)
    }

    /// Whether products need the sums of groups of their rows.
    pub(crate) fn shifted(&self) -> bool {
        with_format!(self.kind, F => F::SHIFTED)
    }

    /// Bytes that a product reads.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Rows times some of the panels; `each` is given a row, the first column, and the results from there.
    pub(crate) fn multiply(
        &self,
        isa: Isa,
        a: &Left,
        panels: Range<usize>,
        room: &mut Room,
        each: &mut dyn FnMut(usize, usize, &[f32]),
    ) {
        for p in panels {
            let stored = &self.data[p * self.stride..][..self.stride];
            let from = p * COLUMNS;
            let count = COLUMNS.min(self.columns - from);
            let mut each = |row: usize, results: &[f32; COLUMNS]| each(row, from, &results[..count]);
            with_format!(self.kind, F => panel::<F>(isa, a, stored, self.inner, room, &mut each));
        }
    }

    /// The values of a column, rounded as their file's format defines them.
    pub(crate) fn column(&self, index: usize, to: &mut [f32]) {
        assert!(index < self.columns && to.len() == self.inner);
        let stored = &self.data[index / COLUMNS * self.stride..][..self.stride];
        with_format!(self.kind, F => {
            for (group, values) in stored.chunks_exact(F::BYTES).zip(to.chunks_exact_mut(F::GROUP)) {
                for (row, v) in values.iter_mut().enumerate() {
                    *v = F::value(group, row, index % COLUMNS);
                }
            }
        });
    }
}

/// Rows times one panel of f32 lines; `each` is given every row's results.
pub(crate) fn multiply_lines(
    isa: Isa,
    a: &Left,
    lines: &[Line],
    room: &mut Room,
    each: &mut dyn FnMut(usize, &[f32; COLUMNS]),
) {
    // SAFETY: lines are plain numbers.
    let stored = unsafe { std::slice::from_raw_parts(lines.as_ptr().cast::<u8>(), size_of_val(lines)) };
    panel::<Plain<Single>>(isa, a, stored, lines.len(), room, each);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::group_sums;

    const KINDS: [Kind; 8] = [
        Kind::F32,
        Kind::F16,
        Kind::Bf16,
        Kind::Bytes32,
        Kind::Bytes16,
        Kind::Nibbles,
        Kind::Shifted,
        Kind::ShiftedSingle,
    ];

    fn random(seed: u64, len: usize) -> Vec<f32> {
        edgemaxx_contract::noise::torch_randn(seed, len)
    }

    /// A matrix of random numbers, whatever its kind.
    fn matrix(kind: Kind, inner: usize, columns: usize) -> Matrix {
        if kind.group() == 1 {
            let values = random(1, inner * columns);
            let read = |c: usize, to: &mut [f32]| to.copy_from_slice(&values[c * inner..][..inner]);
            return Matrix::of_floats(kind, inner, columns, read).expect("memory");
        }
        let (least, numbers) = match kind {
            Kind::Bytes32 => (-127, 255),
            Kind::Bytes16 => (-32, 64),
            Kind::Nibbles => (-8, 16),
            _ => (0, 16),
        };
        let shifted = least == 0;
        let read = |c: usize, g: usize| {
            let seed = (c * 977 + g) as u64;
            let drawn = random(seed, 34);
            let number = |v: f32| ((v * 1e6) as i64).rem_euclid(numbers) as i32 + least;
            Group {
                scale: half::f16::from_f32(drawn[32] * 0.1).to_f32(),
                shift: if shifted { half::f16::from_f32(drawn[33]).to_f32() } else { 0.0 },
                numbers: std::array::from_fn(|i| number(drawn[i]) as i8),
            }
        };
        Matrix::of_groups(kind, inner, columns, read).expect("memory")
    }

    fn sets() -> Vec<Isa> {
        let mut sets = vec![Isa::Plain];
        #[cfg(target_arch = "x86_64")]
        match Isa::best() {
            Isa::Avx512 => sets.extend([Isa::Avx2, Isa::Avx512]),
            Isa::Avx2 => sets.push(Isa::Avx2),
            Isa::Plain => {}
        }
        sets
    }

    fn product(isa: Isa, w: &Matrix, x: &[f32], rows: Range<usize>, panels: Range<usize>) -> Vec<f32> {
        let (inner, columns) = (w.inner(), w.columns());
        let groups = inner / 32;
        let values = &x[rows.start * inner..rows.end * inner];
        let mut sums = vec![0f32; rows.len() * groups];
        for (x, to) in values.chunks_exact(inner).zip(sums.chunks_exact_mut(groups)) {
            group_sums(x, to);
        }
        let left = Left { values, offset: 0, stride: inner, count: rows.len(), sums: &sums };
        let mut out = vec![f32::NAN; rows.len() * columns];
        w.multiply(isa, &left, panels, &mut Room::default(), &mut |row, column, results| {
            out[row * columns + column..][..results.len()].copy_from_slice(results);
        });
        out
    }

    /// Against products in f64 of the columns as they are read, for an odd number of groups and a panel that is not full.
    #[test]
    fn products_are_those_of_the_columns() {
        for kind in KINDS {
            let (inner, columns, rows) = (96, 70, 11);
            let w = matrix(kind, inner, columns);
            let x = random(7, rows * inner);
            let got = product(Isa::best(), &w, &x, 0..rows, 0..w.panels());
            let mut column = vec![0f32; inner];
            for c in 0..columns {
                w.column(c, &mut column);
                for r in 0..rows {
                    let terms = x[r * inner..][..inner].iter().zip(&column);
                    let (want, size) = terms.fold((0f64, 0f64), |(sum, size), (x, w)| {
                        let term = f64::from(*x) * f64::from(*w);
                        (sum + term, size + term.abs())
                    });
                    let error = (f64::from(got[r * columns + c]) - want).abs();
                    assert!(error <= 2e-6 * size, "{kind:?}: row {r}, column {c}: {error:e} of {size}");
                }
            }
        }
    }

    #[test]
    fn bits_depend_neither_on_instructions_nor_on_company() {
        for kind in KINDS {
            let (inner, columns, rows) = (160, 100, 13);
            let w = matrix(kind, inner, columns);
            let x = random(8, rows * inner);
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let all = bits(&product(Isa::Plain, &w, &x, 0..rows, 0..w.panels()));
            for isa in sets() {
                assert_eq!(bits(&product(isa, &w, &x, 0..rows, 0..w.panels())), all, "{kind:?} {isa:?}");
                for count in [1, 3, 5] {
                    let some = product(isa, &w, &x, 4..4 + count, 0..w.panels());
                    let want = &all[4 * columns..(4 + count) * columns];
                    assert_eq!(bits(&some), want, "{kind:?} {isa:?}, {count} rows");
                }
                let part = product(isa, &w, &x, 0..1, 2..4);
                assert_eq!(bits(&part[64..]), all[64..columns], "{kind:?} {isa:?}, two panels");
            }
        }
    }
}
