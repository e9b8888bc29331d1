//! Attention of new tokens over the cache, a few queries at a time.
use super::cache::SharedCache;
use crate::cpu::{COLUMNS, Isa, Left, Room, multiply_lines, softmax};

/// Queries that share a key head: row `i` starts at `offset + i·stride` of `values` and sees the first `seen(i)` positions.
pub(super) struct Queries<'a> {
    pub(super) values: &'a [f32],
    pub(super) offset: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
}

/// Room for one member's scores.
#[derive(Default)]
pub(super) struct Scores {
    values: Vec<f32>,
    room: Room,
}

/// softmax(q·kᵀ/√width)·v of queries over one head of one layer; `each` is given a query's number, the first column, and
/// the results from there.
///
/// # Safety
/// Nobody writes to the head meanwhile, and the positions that are seen were written.
pub(super) unsafe fn attend(
    isa: Isa,
    cache: &SharedCache,
    (layer, head): (usize, usize),
    q: &Queries,
    seen: &dyn Fn(usize) -> usize,
    scores: &mut Scores,
    each: &mut dyn FnMut(usize, usize, &[f32]),
) {
    let sizes = cache.sizes();
    let most = (0..q.count).map(seen).max().unwrap_or(0);
    let stride = most.next_multiple_of(COLUMNS);
    let Scores { values, room } = scores;
    values.resize(q.count * stride, 0.0);
    let Queries { values: queries, offset, stride: step, count } = *q;
    let left = Left { values: queries, offset, stride: step, count, sums: &[] };
    for span in 0..stride / COLUMNS {
        // SAFETY: the caller vouches for the head.
        let keys = unsafe { cache.keys(layer, head, span) };
        multiply_lines(isa, &left, keys, room, &mut |i, results| {
            values[i * stride + span * COLUMNS..][..COLUMNS].copy_from_slice(results);
        });
    }
    let scale = 1.0 / (sizes.head_width as f32).sqrt();
    for (i, row) in values.chunks_exact_mut(stride).enumerate().take(q.count) {
        softmax(&mut row[..seen(i)], scale);
        row[seen(i)..].fill(0.0);
    }
    let left = Left { values: values.as_slice(), offset: 0, stride, count, sums: &[] };
    for slice in 0..sizes.slices() {
        // SAFETY: the caller vouches for the head.
        let lines = unsafe { cache.values(layer, head, slice, most) };
        let from = slice * COLUMNS;
        let width = COLUMNS.min(sizes.head_width - from);
        multiply_lines(isa, &left, lines, room, &mut |i, results| each(i, from, &results[..width]));
    }
}
