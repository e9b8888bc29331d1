//! The matrix kernel of f32: tiles of rows times panels of 32 packed columns, held in registers over the whole inner
//! dimension, finished (bias, activation, residual) on the way out.
use super::math;
use super::pack::{COLUMNS, Line, Packed};
#[cfg(target_arch = "x86_64")]
use super::register::x86::{Half, Wide};
use super::register::{Lane, Plain};
use super::rows::Rows;
use super::simd::Isa;

/// Rows of a tile.
pub(super) const ROWS: usize = 8;

/// Lines of a panel that are fetched ahead.
const AHEAD: usize = 12;
/// Numbers of a block of rows: half a megabyte.
const BLOCK: usize = 1 << 17;

/// What is done to an element before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing.
    None,
    /// x·σ(1.702·x)
    QuickGelu,
    /// x·Φ(x)
    Gelu,
    /// Value times GELU of its gate; the panels must be packed in pairs ([`Packed::gated`]).
    Geglu,
}

/// How results are finished.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Added per image and column before `finish`: values `[images, columns]`, and rows per image.
    pub(crate) shift: Option<(&'a [f32], usize)>,
    /// Applied before the residual.
    pub(crate) finish: Finish,
    /// Added last, `[rows, columns]`.
    pub(crate) residual: Option<&'a [f32]>,
}

impl Epilogue<'_> {
    pub(crate) const PLAIN: Epilogue<'static> =
        Epilogue { shift: None, finish: Finish::None, residual: None };
}

/// Where results go: row `i` of the job starts at `i·stride` of `values`.
pub(super) struct Out<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
}

/// Computes rows `first … first + count` of `a`·`w` into `out`.
pub(super) fn job<A: Rows>(a: &A, w: &Packed, e: &Epilogue, first: usize, count: usize, out: Out) {
    assert_eq!(w.depth(), a.taps() * a.inner());
    assert!(first + count <= a.count() && count > 0);
    assert!(out.values.len() >= (count - 1) * out.stride + w.results());
    match Isa::best() {
        // SAFETY: the instructions were detected on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { wide(a, w, e, first, count, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { half(a, w, e, first, count, out) },
        // SAFETY: needs no particular instructions.
        Isa::Plain => unsafe { panels::<Plain, 4, 2, A>(a, w, e, first, count, out) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
unsafe fn wide<A: Rows>(a: &A, w: &Packed, e: &Epilogue, first: usize, count: usize, out: Out) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { panels::<Wide, 8, 2, A>(a, w, e, first, count, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn half<A: Rows>(a: &A, w: &Packed, e: &Epilogue, first: usize, count: usize, out: Out) {
    // SAFETY: the caller vouches for the instructions.
    unsafe { panels::<Half, 4, 2, A>(a, w, e, first, count, out) }
}

/// All panels over all tiles, block of rows by block of rows: a panel stays in the cache while a block's tiles pass, and
/// the block while the panels do.
#[inline(always)]
unsafe fn panels<L: Lane, const R: usize, const C: usize, A: Rows>(
    a: &A,
    w: &Packed,
    e: &Epilogue,
    first: usize,
    count: usize,
    out: Out,
) {
    let mut tile = [[0f32; COLUMNS]; ROWS];
    let height = (BLOCK / w.depth().max(1)).max(4 * ROWS) / ROWS * ROWS;
    for begin in (0..count).step_by(height) {
        let end = count.min(begin + height);
        for (p, (panel, bias)) in w.panels().enumerate() {
            let from = p * w.panel_results();
            let results = w.panel_results().min(w.results() - from);
            // a panel with few columns left needs only its first half
            let narrow = results <= COLUMNS / 2 && e.finish != Finish::Geglu;
            for start in (begin..end).step_by(ROWS) {
                let rows = ROWS.min(end - start);
                for r in (0..rows).step_by(R) {
                    // SAFETY: passed on from the caller; `tile` has `ROWS` rows and R divides ROWS.
                    unsafe {
                        if narrow && C * L::N > COLUMNS / 2 {
                            block::<L, R, 1, A>(a, first + start + r, panel, 0, &mut tile[r..]);
                        } else {
                            let columns = if narrow { COLUMNS / 2 } else { COLUMNS };
                            for column in (0..columns).step_by(C * L::N) {
                                block::<L, R, C, A>(a, first + start + r, panel, column, &mut tile[r..]);
                            }
                        }
                    }
                }
                for (r, values) in tile[..rows].iter().enumerate() {
                    let row = first + start + r;
                    let at = (start + r) * out.stride + from;
                    let to = &mut out.values[at..at + results];
                    let shift = e.shift.map(|(s, per)| &s[row / per * w.results() + from..][..results]);
                    let residual = e.residual.map(|x| &x[row * w.results() + from..][..results]);
                    finish(values, &bias.0, shift, e.finish, residual, to);
                }
            }
        }
    }
}

/// Bias, shift, activation and residual of one row of a tile.
#[inline(always)]
fn finish(
    values: &[f32; COLUMNS],
    bias: &[f32; COLUMNS],
    shift: Option<&[f32]>,
    f: Finish,
    residual: Option<&[f32]>,
    to: &mut [f32],
) {
    let mut v = *values;
    for (x, b) in v.iter_mut().zip(bias) {
        *x += b;
    }
    if let Some(shift) = shift {
        for (x, s) in v.iter_mut().zip(shift) {
            *x += s;
        }
    }
    match f {
        Finish::None => {}
        // plain loops: closures given to `map` are not compiled for the caller's instructions
        Finish::QuickGelu => {
            for x in &mut v {
                *x = math::quick_gelu(*x);
            }
        }
        Finish::Gelu => {
            for x in &mut v {
                *x = math::gelu(*x);
            }
        }
        Finish::Geglu => {
            let (value, gate) = v.split_at_mut(COLUMNS / 2);
            for (x, g) in value.iter_mut().zip(gate) {
                *x *= math::gelu(*g);
            }
        }
    }
    if let Some(residual) = residual {
        for (x, r) in v.iter_mut().zip(residual) {
            *x += r;
        }
    }
    to.copy_from_slice(&v[..to.len()]);
}

/// `R` rows times `C` registers of columns, in registers.
#[inline(always)]
unsafe fn block<L: Lane, const R: usize, const C: usize, A: Rows>(
    a: &A,
    row: usize,
    panel: &[Line],
    column: usize,
    tile: &mut [[f32; COLUMNS]],
) {
    let inner = a.inner();
    assert!(tile.len() >= R && column + C * L::N <= COLUMNS && panel.len() == a.taps() * inner);
    let places = a.places::<R>(row);
    // SAFETY: every piece is checked to have `inner` values, the panel has `taps·inner` lines of `COLUMNS` values, and
    // the block's columns lie within a line.
    unsafe {
        let mut acc = [[L::zero(); C]; R];
        let mut pb = panel.as_ptr().cast::<f32>().add(column);
        for tap in 0..a.taps() {
            let mut pa = [std::ptr::null::<f32>(); R];
            for (p, place) in pa.iter_mut().zip(places) {
                let piece = a.piece(place, tap);
                assert!(piece.len() >= inner);
                *p = piece.as_ptr();
            }
            for k in 0..inner {
                // no closure: it would not be compiled for the instructions that this function is
                let mut vb = [L::zero(); C];
                for (c, v) in vb.iter_mut().enumerate() {
                    *v = L::load(pb.add(c * L::N));
                    // the CPU's own prefetching ends at every page, which is 32 lines
                    L::prefetch(pb.wrapping_add(AHEAD * COLUMNS + c * L::N));
                }
                for r in 0..R {
                    let va = L::splat(*pa[r].add(k));
                    for c in 0..C {
                        acc[r][c] = acc[r][c].fma(va, vb[c]);
                    }
                }
                pb = pb.add(COLUMNS);
            }
        }
        for r in 0..R {
            #[allow(clippy::needless_range_loop, reason = "the index is also the column")]
            for c in 0..C {
                acc[r][c].store(tile[r].as_mut_ptr().add(column + c * L::N));
            }
        }
    }
}
