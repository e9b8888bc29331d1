//! Products over whole tensors, shared among threads where that pays. What computes a share is `gemm.rs`.
use super::gemm::{Epilogue, Out, ROWS, job};
use super::pack::Packed;
use super::rows::{Geometry, Matrix, Rows, Windows};
use rayon::prelude::*;

/// Multiplications below which a second thread costs more than it saves.
pub(super) const WORTH_SHARING: usize = 4_000_000;

/// `x` (`[rows, depth]`) times `w`, finished: `[rows, results]`.
pub(crate) fn linear(x: &[f32], w: &Packed, e: &Epilogue) -> Vec<f32> {
    let inner = w.depth();
    run(&Matrix { values: x, offset: 0, stride: inner, count: x.len() / inner, inner }, w, e)
}

/// Convolution of `x` (`[images, height, width, channels]`) with `w`, packed with the window's row, column and channel
/// as the inner dimension, finished: `[images, h′, w′, results]`.
pub(crate) fn convolve(x: &[f32], g: Geometry, w: &Packed, e: &Epilogue) -> Vec<f32> {
    assert_eq!(x.len(), g.images * g.height * g.width * g.channels);
    if g.kernel == 1 && g.stride == 1 && g.padding == 0 && g.enlarged == (g.height, g.width) {
        return linear(x, w, e);
    }
    run(&Windows::new(x, g), w, e)
}

fn run<A: Rows>(a: &A, w: &Packed, e: &Epilogue) -> Vec<f32> {
    let (count, stride) = (a.count(), w.results());
    let mut out = vec![0f32; count * stride];
    if count == 0 || stride == 0 {
        return out;
    }
    let threads = rayon::current_num_threads();
    let share = threads > 1 && count > ROWS && count * w.depth() * stride > WORTH_SHARING;
    let rows = if share { count.div_ceil(threads).next_multiple_of(ROWS) } else { count };
    let part = |(i, values): (usize, &mut [f32])| {
        let first = i * rows;
        job(a, w, e, first, values.len() / stride, Out { values, stride });
    };
    if share {
        out.par_chunks_mut(rows * stride).enumerate().for_each(part);
    } else {
        part((0, &mut out));
    }
    out
}
