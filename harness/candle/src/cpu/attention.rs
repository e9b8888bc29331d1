//! Attention with the score matrix held for a few rows of queries at a time.
use super::gemm::{Epilogue, Out, job};
use super::math;
use super::norm::fold;
use super::pack::{Packed, Source};
use super::rows::Matrix;
use super::share::WORTH_SHARING;
use super::simd::vectorized;
use rayon::prelude::*;

/// Queries per job at most, and scores per job roughly.
const QUERIES: usize = 64;
const SCORES: usize = 1 << 18;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    pub(crate) context: usize,
    pub(crate) heads: usize,
    /// Width of a head.
    pub(crate) width: usize,
    /// Whether token i sees only the first i + 1 of the context.
    pub(crate) causal: bool,
}

/// softmax(q·kᵀ/√width)·v; `q` is `[batch, tokens, heads·width]`, `k` and `v` `[batch, context, heads·width]`.
pub(crate) fn attention(q: &[f32], k: &[f32], v: &[f32], s: Sizes) -> Vec<f32> {
    let c = s.heads * s.width;
    let mut out = vec![0f32; q.len()];
    if q.is_empty() {
        return out;
    }
    let work = s.tokens * s.context * c * 2;
    let threads = rayon::current_num_threads() > 1;
    let one = |(b, out): (usize, &mut [f32])| {
        let (k, v) = (&k[b * s.context * c..][..s.context * c], &v[b * s.context * c..][..s.context * c]);
        sequence(&q[b * s.tokens * c..][..s.tokens * c], k, v, s, threads && work > WORTH_SHARING, out);
    };
    // short sequences are shared among threads whole, long ones in parts
    if threads && work <= WORTH_SHARING && work * s.batch > WORTH_SHARING {
        out.par_chunks_mut(s.tokens * c).enumerate().for_each(one);
    } else {
        out.chunks_mut(s.tokens * c).enumerate().for_each(one);
    }
    out
}

/// The attention of one element of the batch, in threads where `share`.
fn sequence(q: &[f32], k: &[f32], v: &[f32], s: Sizes, share: bool, out: &mut [f32]) {
    let c = s.heads * s.width;
    let rows = (SCORES / s.context.max(1)).clamp(8, QUERIES);
    let head = |h: usize| {
        let at = h * s.width;
        let zeros = vec![0.0; s.context.max(s.width)];
        let keys = Source { values: &k[at..], down: 1, across: c };
        let values = Source { values: &v[at..], down: c, across: 1 };
        let keys = Packed::new(s.width, keys, &zeros[..s.context]);
        let values = Packed::new(s.context, values, &zeros[..s.width]);
        (keys, values)
    };
    let packed: Vec<(Packed, Packed)> = if share {
        (0..s.heads).into_par_iter().map(head).collect()
    } else {
        (0..s.heads).map(head).collect()
    };
    let part = |(i, out): (usize, &mut [f32])| slice(q, &packed, s, i * rows, out);
    if share {
        out.par_chunks_mut(rows * c).enumerate().for_each(part);
    } else {
        out.chunks_mut(rows * c).enumerate().for_each(part);
    }
}

/// The queries from `first` that `out` has room for, all heads.
fn slice(q: &[f32], packed: &[(Packed, Packed)], s: Sizes, first: usize, out: &mut [f32]) {
    let c = s.heads * s.width;
    let count = out.len() / c;
    let mut scores = vec![0f32; count * s.context];
    for (h, (keys, values)) in packed.iter().enumerate() {
        let offset = first * c + h * s.width;
        let rows = Matrix { values: q, offset, stride: c, count, inner: s.width };
        job(&rows, keys, &Epilogue::PLAIN, 0, count, Out { values: &mut scores, stride: s.context });
        let scale = 1.0 / (s.width as f32).sqrt();
        for (i, row) in scores.chunks_exact_mut(s.context).enumerate() {
            let seen = if s.causal { (first + i + 1).min(s.context) } else { s.context };
            softmax(&mut row[..seen], scale);
            row[seen..].fill(0.0);
        }
        let rows = Matrix { values: &scores, offset: 0, stride: s.context, count, inner: s.context };
        let out = Out { values: &mut out[h * s.width..], stride: c };
        job(&rows, values, &Epilogue::PLAIN, 0, count, out);
    }
}

vectorized! {
    /// softmax(scale·x) in place; sums in sixteen lanes whatever the machine's registers.
    pub(crate) fn softmax(x: &mut [f32], scale: f32) = |x: &mut [f32], scale: f32| {
        let mut top = [f32::NEG_INFINITY; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for chunk in chunks {
            for (t, v) in top.iter_mut().zip(chunk) {
                *t = t.max(*v);
            }
        }
        for (t, v) in top.iter_mut().zip(rest) {
            *t = t.max(*v);
        }
        let top = fold(top, f32::max);
        let mut sums = [0f32; 16];
        let (chunks, rest) = x.as_chunks_mut::<16>();
        for chunk in chunks {
            for (s, v) in sums.iter_mut().zip(chunk) {
                *v = math::exp((*v - top) * scale);
                *s += *v;
            }
        }
        for (s, v) in sums.iter_mut().zip(rest) {
            *v = math::exp((*v - top) * scale);
            *s += *v;
        }
        let inverse = 1.0 / fold(sums, |a, b| a + b);
        for v in x {
            *v *= inverse;
        }
    }
}
