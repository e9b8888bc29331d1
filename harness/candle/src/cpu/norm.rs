//! Group and layer normalisation; and what language models do to a row: RMS norm, sums of groups, SwiGLU, rotation by a position.
use super::math;
use super::simd::vectorized;
use rayon::prelude::*;

/// Lanes that sums are kept in, whatever the machine's registers.
const LANES: usize = 16;
/// Pixels whose sums are kept in f32 before they are added up in f64; also the unit that threads share.
const BLOCK: usize = 256;
/// Values below which a second thread costs more than it saves.
const WORTH_SHARING: usize = 1 << 16;

vectorized! {
    /// Adds to `sums` per channel the values of `x` (`[pixels, channels]`) less `mean`, or their squares.
    fn channel_sums(x: &[f32], mean: &[f32], squares: bool, sums: &mut [f32]) =
    |x: &[f32], mean: &[f32], squares: bool, sums: &mut [f32]| {
        for row in x.chunks_exact(mean.len()) {
            if squares {
                for ((s, v), m) in sums.iter_mut().zip(row).zip(mean) {
                    let d = v - m;
                    *s = d.mul_add(d, *s);
                }
            } else {
                for (s, v) in sums.iter_mut().zip(row) {
                    *s += v;
                }
            }
        }
    }
}

vectorized! {
    /// out = x·scale + shift per channel, followed by x·σ(x) if `silu`.
    fn apply(x: &[f32], scale: &[f32], shift: &[f32], silu: bool, out: &mut [f32]) =
    |x: &[f32], scale: &[f32], shift: &[f32], silu: bool, out: &mut [f32]| {
        let c = scale.len();
        for (to, row) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for i in 0..c {
                let y = row[i].mul_add(scale[i], shift[i]);
                to[i] = y;
            }
            if silu {
                for y in to.iter_mut() {
                    *y = math::silu(*y);
                }
            }
        }
    }
}

/// Normalises each image of `x` (`[images, pixels, channels]`) over groups of channels and all pixels.
pub(crate) fn group_norm(
    x: &[f32],
    images: usize,
    w: &[f32],
    b: &[f32],
    groups: usize,
    eps: f64,
    silu: bool,
) -> Vec<f32> {
    let c = w.len();
    let mut out = vec![0f32; x.len()];
    if x.is_empty() {
        return out;
    }
    let len = x.len() / images;
    let share = rayon::current_num_threads() > 1 && len > WORTH_SHARING;
    for (x, out) in x.chunks_exact(len).zip(out.chunks_exact_mut(len)) {
        let mean = per_group(&totals(x, &vec![0.0; c], false, share), groups, len);
        let mean32: Vec<f32> = mean.iter().map(|m| *m as f32).collect();
        let var = per_group(&totals(x, &mean32, true, share), groups, len);
        let scale: Vec<f32> = (0..c).map(|i| (f64::from(w[i]) / (var[i] + eps).sqrt()) as f32).collect();
        let shift: Vec<f32> =
            (0..c).map(|i| (f64::from(b[i]) - mean[i] * f64::from(scale[i])) as f32).collect();
        if share {
            let blocks = out.par_chunks_mut(BLOCK * c).zip(x.par_chunks(BLOCK * c));
            blocks.for_each(|(to, from)| apply(from, &scale, &shift, silu, to));
        } else {
            apply(x, &scale, &shift, silu, out);
        }
    }
    out
}

/// Sums per channel over all pixels of one image.
fn totals(x: &[f32], mean: &[f32], squares: bool, share: bool) -> Vec<f64> {
    let c = mean.len();
    let block = |x: &[f32]| {
        let mut sums = vec![0f32; c];
        channel_sums(x, mean, squares, &mut sums);
        sums
    };
    let mut total = vec![0f64; c];
    let mut add = |sums: &[f32]| total.iter_mut().zip(sums).for_each(|(t, s)| *t += f64::from(*s));
    if share {
        let blocks: Vec<Vec<f32>> = x.par_chunks(BLOCK * c).map(block).collect();
        blocks.iter().for_each(|s| add(s));
    } else {
        x.chunks(BLOCK * c).for_each(|x| add(&block(x)));
    }
    total
}

/// Mean over each group of an image of `len` values, repeated for each of the group's channels.
fn per_group(totals: &[f64], groups: usize, len: usize) -> Vec<f64> {
    let size = totals.len() / groups;
    let mean = |g: &[f64]| g.iter().sum::<f64>() / (len / groups) as f64;
    totals.chunks_exact(size).flat_map(|g| std::iter::repeat_n(mean(g), size)).collect()
}

/// Sum of the lanes, pairwise.
#[inline(always)]
pub(super) fn fold(lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut v = lanes;
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            v[i] = f(v[i], v[i + n]);
        }
    }
    v[0]
}

vectorized! {
    /// Normalises every row of `x` (`[rows, channels]`).
    pub(crate) fn layer_norm(x: &[f32], w: &[f32], b: &[f32], eps: f64, out: &mut [f32]) =
    |x: &[f32], w: &[f32], b: &[f32], eps: f64, out: &mut [f32]| {
        let c = w.len();
        for (row, to) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
            let mean = sum(row, |v| v) / c as f32;
            let var = sum(row, |v| (v - mean) * (v - mean)) / c as f32;
            let scale = 1.0 / (var + eps as f32).sqrt();
            for i in 0..c {
                to[i] = ((row[i] - mean) * scale).mul_add(w[i], b[i]);
            }
        }
    }
}

vectorized! {
    /// Normalises a row to a mean square of one, as LLaMA does.
    pub(crate) fn rms_norm(x: &[f32], w: &[f32], eps: f32, out: &mut [f32]) =
    |x: &[f32], w: &[f32], eps: f32, out: &mut [f32]| {
        let scale = 1.0 / (sum(x, |v| v * v) / x.len() as f32 + eps).sqrt();
        for ((to, v), w) in out.iter_mut().zip(x).zip(w) {
            *to = w * (v * scale);
        }
    }
}

vectorized! {
    /// Sums of groups of 32 values; a rest that makes no group is left out.
    pub(crate) fn group_sums(x: &[f32], out: &mut [f32]) = |x: &[f32], out: &mut [f32]| {
        for (to, group) in out.iter_mut().zip(x.chunks_exact(32)) {
            *to = sum(group, |v| v);
        }
    }
}

vectorized! {
    /// Replaces every gate by gate·σ(gate)·up.
    pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) = |gate: &mut [f32], up: &[f32]| {
        for (g, u) in gate.iter_mut().zip(up) {
            *g = math::silu(*g) * u;
        }
    }
}

vectorized! {
    /// Turns the pairs (i, i + half) of a head by the angles whose cosines and sines are given.
    pub(crate) fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) = |x: &mut [f32], cos: &[f32], sin: &[f32]| {
        let (low, high) = x.split_at_mut(cos.len());
        for i in 0..cos.len() {
            let (a, b) = (low[i], high[i]);
            low[i] = a * cos[i] - b * sin[i];
            high[i] = b * cos[i] + a * sin[i];
        }
    }
}

/// Σ f(x) in fixed lanes.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l += f(*v);
        }
    }
    for (l, v) in lanes.iter_mut().zip(rest) {
        *l += f(*v);
    }
    fold(lanes, |a, b| a + b)
}
