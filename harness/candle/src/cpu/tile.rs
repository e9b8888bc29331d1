//! Products of rows with stored panels: one row against a panel as it is stored, several against the panel widened once;
//! either way every result is the same chain of fused multiply-adds, group by group, so that a row's results have the same
//! bits whatever other rows were computed beside it.
use super::format::Format;
use super::pack::{COLUMNS, Line};
#[cfg(target_arch = "x86_64")]
use super::register::x86::{Half, Wide};
use super::register::{Lane, Plain};
use super::simd::Isa;
use std::ops::Range;

/// Bytes of a stored panel that are fetched ahead.
const AHEAD: usize = 2048;
/// Rows of the inner dimension that all tiles pass before the next are taken, a multiple of every group: 24 KiB of a widened
/// panel, which stay in the first cache.
const BLOCK: usize = 192;

/// The left matrix: row `i` starts at `offset + i·stride` of `values`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
    /// Sums of every group of 32 values of every row, `[count, inner / 32]`; may be empty where no format asks for them.
    pub(crate) sums: &'a [f32],
}

impl Left<'_> {
    fn row(&self, i: usize, inner: usize) -> &[f32] {
        &self.values[self.offset + i.min(self.count - 1) * self.stride..][..inner]
    }

    fn sums(&self, i: usize, groups: usize) -> &[f32] {
        &self.sums[i.min(self.count - 1) * groups..][..groups]
    }
}

/// Room for a widened panel; kept between products.
#[derive(Debug, Default)]
pub(crate) struct Room {
    lines: Vec<Line>,
    scales: Vec<Line>,
    shifts: Vec<Line>,
    /// What every row has come to.
    totals: Vec<Line>,
}

/// Rows times one panel of 32 columns over `inner` rows of it, stored as `F`; `each` is given every row's results.
pub(super) fn panel<F: Format>(
    isa: Isa,
    a: &Left,
    stored: &[u8],
    inner: usize,
    room: &mut Room,
    each: &mut dyn FnMut(usize, &[f32; COLUMNS]),
) {
    assert!(inner.is_multiple_of(F::GROUP) && stored.len() >= inner / F::GROUP * F::BYTES);
    match isa {
        // SAFETY: the instructions were detected on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { wide::<F>(a, stored, inner, room, each) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { half::<F>(a, stored, inner, room, each) },
        // SAFETY: needs no particular instructions.
        Isa::Plain => unsafe { rows::<Plain, F, 4, 4, 2>(a, stored, inner, room, each) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
unsafe fn wide<F: Format>(
    a: &Left,
    stored: &[u8],
    inner: usize,
    room: &mut Room,
    each: &mut dyn FnMut(usize, &[f32; COLUMNS]),
) {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        if a.count <= 4 {
            rows::<Wide, F, 2, 4, 2>(a, stored, inner, room, each);
        } else {
            rows::<Wide, F, 2, 8, 2>(a, stored, inner, room, each);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn half<F: Format>(
    a: &Left,
    stored: &[u8],
    inner: usize,
    room: &mut Room,
    each: &mut dyn FnMut(usize, &[f32; COLUMNS]),
) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { rows::<Half, F, 4, 4, 2>(a, stored, inner, room, each) }
}

/// `W` registers make a panel; tiles are of `R` rows and `C` registers.
#[inline(always)]
unsafe fn rows<L: Lane, F: Format, const W: usize, const R: usize, const C: usize>(
    a: &Left,
    stored: &[u8],
    inner: usize,
    room: &mut Room,
    each: &mut dyn FnMut(usize, &[f32; COLUMNS]),
) {
    let groups = inner / F::GROUP;
    if a.count == 1 {
        let sums = if F::SHIFTED { a.sums(0, groups) } else { &[] };
        let mut results = [0f32; COLUMNS];
        // SAFETY: passed on from the caller, who checked the panel's length.
        unsafe { one::<L, F, W>(a.row(0, inner), sums, stored, &mut results) };
        each(0, &results);
        return;
    }
    // SAFETY: passed on from the caller; rows are as long as asserted by the slices they come from, and there are totals for
    // all rows of the last tile.
    unsafe {
        let widened = F::SCALED || F::BYTES != COLUMNS * 4;
        if widened {
            widen::<L, F>(stored, inner, room);
        }
        let Room { lines, scales, shifts, totals } = room;
        let lines = if widened { lines.as_ptr().cast() } else { stored.as_ptr().cast::<f32>() };
        totals.clear();
        totals.resize(a.count.next_multiple_of(R), Line([0.0; COLUMNS]));
        for from in (0..inner).step_by(BLOCK) {
            let block = from..inner.min(from + BLOCK);
            for (tile, totals) in totals.chunks_exact_mut(R).enumerate() {
                let row = |r: usize| a.row(tile * R + r, inner).as_ptr();
                let x: [*const f32; R] = std::array::from_fn(row);
                for column in (0..COLUMNS).step_by(C * L::N) {
                    if !F::SCALED {
                        chain::<L, R, C>(&x, lines, block.clone(), column, totals);
                        continue;
                    }
                    let sums: [*const f32; R] = std::array::from_fn(|r| {
                        if F::SHIFTED { a.sums(tile * R + r, groups).as_ptr() } else { x[r] }
                    });
                    grouped::<L, F, R, C>(&x, &sums, lines, block.clone(), (scales, shifts), column, totals);
                }
            }
        }
        for (i, results) in totals[..a.count].iter().enumerate() {
            each(i, &results.0);
        }
    }
}

/// One row against a panel as it is stored; two groups at a time, because a sum waits for the one before it.
#[inline(always)]
unsafe fn one<L: Lane, F: Format, const W: usize>(
    x: &[f32],
    sums: &[f32],
    stored: &[u8],
    out: &mut [f32; COLUMNS],
) {
    // SAFETY: the caller vouches for the instructions and the lengths.
    unsafe {
        let mut total = [L::zero(); W];
        let (mut p, mut x_at) = (stored.as_ptr(), x.as_ptr());
        let groups = x.len() / F::GROUP;
        if !F::SCALED {
            for _ in 0..groups {
                L::prefetch(p.wrapping_add(AHEAD).cast());
                F::step::<L, W>(p, 0, 0, x_at, &mut total);
                (p, x_at) = (p.add(F::BYTES), x_at.add(1));
            }
        } else {
            let mut g = 0;
            while g + 2 <= groups {
                let mut first = [L::zero(); W];
                let mut second = [L::zero(); W];
                for at in (0..2 * F::BYTES).step_by(64) {
                    L::prefetch(p.wrapping_add(AHEAD + at).cast());
                }
                for row in (0..F::GROUP).step_by(F::STEP) {
                    F::step::<L, W>(p, row, 0, x_at.add(row), &mut first);
                    F::step::<L, W>(p.add(F::BYTES), row, 0, x_at.add(F::GROUP + row), &mut second);
                }
                add::<L, F, W>(p, &first, sums, g, &mut total);
                add::<L, F, W>(p.add(F::BYTES), &second, sums, g + 1, &mut total);
                (p, x_at, g) = (p.add(2 * F::BYTES), x_at.add(2 * F::GROUP), g + 2);
            }
            if g < groups {
                let mut last = [L::zero(); W];
                for row in (0..F::GROUP).step_by(F::STEP) {
                    F::step::<L, W>(p, row, 0, x_at.add(row), &mut last);
                }
                add::<L, F, W>(p, &last, sums, g, &mut total);
            }
        }
        for (w, sum) in total.iter().enumerate() {
            sum.store(out.as_mut_ptr().add(w * L::N));
        }
    }
}

/// Adds a group's sum, scaled and shifted, to the total.
#[inline(always)]
unsafe fn add<L: Lane, F: Format, const W: usize>(
    group: *const u8,
    sum: &[L; W],
    sums: &[f32],
    index: usize,
    total: &mut [L; W],
) {
    // SAFETY: the caller vouches for the instructions and the lengths.
    unsafe {
        for w in 0..W {
            total[w] = total[w].fma(F::scale(group, w * L::N), sum[w]);
        }
        if F::SHIFTED {
            let x = L::splat(sums[index]);
            #[allow(clippy::needless_range_loop, reason = "the index is also the column")]
            for w in 0..W {
                total[w] = total[w].fma(F::shift(group, w * L::N), x);
            }
        }
    }
}

/// Widens a panel into `room`.
#[inline(always)]
unsafe fn widen<L: Lane, F: Format>(stored: &[u8], inner: usize, room: &mut Room) {
    let groups = inner / F::GROUP;
    let zero = Line([0.0; COLUMNS]);
    room.lines.resize(inner, zero);
    if F::SCALED {
        room.scales.resize(groups, zero);
        room.shifts.resize(groups, zero);
    }
    for g in 0..groups {
        // SAFETY: the caller vouches for the instructions; the vectors were just made long enough.
        unsafe {
            let group = stored.as_ptr().add(g * F::BYTES);
            for at in (0..F::BYTES).step_by(64) {
                L::prefetch(group.wrapping_add(AHEAD + at).cast());
            }
            for column in (0..COLUMNS).step_by(L::N) {
                for row in (0..F::GROUP).step_by(F::STEP) {
                    let to = room.lines.as_mut_ptr().add(g * F::GROUP + row).cast();
                    F::widen::<L>(group, row, column, to);
                }
                if F::SCALED {
                    F::scale::<L>(group, column).store(room.scales[g].0.as_mut_ptr().add(column));
                }
                if F::SHIFTED {
                    F::shift::<L>(group, column).store(room.shifts[g].0.as_mut_ptr().add(column));
                }
            }
        }
    }
}

/// A tile of numbers that are as they are: one chain per result, which goes on from block to block.
#[inline(always)]
unsafe fn chain<L: Lane, const R: usize, const C: usize>(
    x: &[*const f32; R],
    lines: *const f32,
    block: Range<usize>,
    column: usize,
    totals: &mut [Line],
) {
    assert_eq!(totals.len(), R);
    // SAFETY: the caller vouches for the instructions and the lengths.
    unsafe {
        let mut sums = [[L::zero(); C]; R];
        for r in 0..R {
            #[allow(clippy::needless_range_loop, reason = "the index is also the column")]
            for c in 0..C {
                sums[r][c] = L::load(totals[r].0.as_ptr().add(column + c * L::N));
            }
        }
        run::<L, R, C>(x, lines.add(block.start * COLUMNS + column), block, &mut sums);
        for r in 0..R {
            #[allow(clippy::needless_range_loop, reason = "the index is also the column")]
            for c in 0..C {
                sums[r][c].store(totals[r].0.as_mut_ptr().add(column + c * L::N));
            }
        }
    }
}

/// A tile of scaled numbers: a chain per group, added up scaled and shifted.
#[inline(always)]
unsafe fn grouped<L: Lane, F: Format, const R: usize, const C: usize>(
    x: &[*const f32; R],
    group_sums: &[*const f32; R],
    lines: *const f32,
    block: Range<usize>,
    (scales, shifts): (&[Line], &[Line]),
    column: usize,
    totals: &mut [Line],
) {
    assert_eq!(totals.len(), R);
    let totals = totals.as_mut_ptr().cast::<f32>();
    // SAFETY: the caller vouches for the instructions and the lengths.
    unsafe {
        let mut line = lines.add(block.start * COLUMNS + column);
        for g in block.start / F::GROUP..block.end / F::GROUP {
            let mut sums = [[L::zero(); C]; R];
            run::<L, R, C>(x, line, g * F::GROUP..(g + 1) * F::GROUP, &mut sums);
            line = line.add(F::GROUP * COLUMNS);
            #[allow(clippy::needless_range_loop, reason = "the index is also the column")]
            for c in 0..C {
                let at = column + c * L::N;
                let scale = L::load(scales.as_ptr().add(g).cast::<f32>().add(at));
                let shift =
                    if F::SHIFTED { L::load(shifts.as_ptr().add(g).cast::<f32>().add(at)) } else { scale };
                for r in 0..R {
                    let total = totals.add(r * COLUMNS + at);
                    let mut sum = L::load(total).fma(scale, sums[r][c]);
                    if F::SHIFTED {
                        sum = sum.fma(shift, L::splat(*group_sums[r].add(g)));
                    }
                    sum.store(total);
                }
            }
        }
    }
}

/// Adds the products of some rows of the inner dimension to every sum.
#[inline(always)]
unsafe fn run<L: Lane, const R: usize, const C: usize>(
    x: &[*const f32; R],
    mut line: *const f32,
    rows: Range<usize>,
    sums: &mut [[L; C]; R],
) {
    // SAFETY: the caller vouches for the instructions and the lengths.
    unsafe {
        for k in rows {
            let mut columns = [L::zero(); C];
            for (c, v) in columns.iter_mut().enumerate() {
                *v = L::load(line.add(c * L::N));
            }
            for r in 0..R {
                let value = L::splat(*x[r].add(k));
                for c in 0..C {
                    sums[r][c] = sums[r][c].fma(value, columns[c]);
                }
            }
            line = line.add(COLUMNS);
        }
    }
}
