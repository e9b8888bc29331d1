//! The forward pass: tokens in, logits out, made by a team. Products are shared by columns, norms by rows, attention by
//! heads; every result is computed by one member in one order, whichever that is.
use super::attention::{Queries, Scores, attend};
use super::cache::SharedCache;
use super::config::LlamaConfig;
use super::rope::Rope;
use crate::cpu::{Isa, Left, Matrix, Member, Room, Shared, group_sums, rms_norm, rotate, swiglu};
use std::ops::Range;

/// Queries of one head that are attended to at once.
const QUERIES: usize = 32;

/// Weights of a layer.
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Matrix,
    pub(super) key: Matrix,
    pub(super) value: Matrix,
    pub(super) output: Matrix,
    pub(super) mlp_norm: Vec<f32>,
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
}

/// A model's weights.
pub(super) struct Net {
    pub(super) config: LlamaConfig,
    pub(super) embedding: Matrix,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    /// Where it is not the embedding.
    pub(super) head: Option<Matrix>,
    pub(super) rope: Rope,
}

/// Which tokens' logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Nothing,
    Last,
    All,
}

/// Intermediate values of a pass, `[rows, …]` each.
#[derive(Default)]
pub(super) struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    sums: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    pub(super) logits: Vec<f32>,
}

impl Buffers {
    /// Makes room for so many tokens, so many of them with logits.
    pub(super) fn resize(&mut self, c: &LlamaConfig, rows: usize, logits: usize) {
        let widest = c.width.max(c.inner_width).max(c.heads * c.head_width);
        for (buffer, width) in [
            (&mut self.x, c.width),
            (&mut self.normed, c.width),
            (&mut self.sums, widest / 32),
            (&mut self.query, c.heads * c.head_width),
            (&mut self.key, c.kv_heads * c.head_width),
            (&mut self.value, c.kv_heads * c.head_width),
            (&mut self.mixed, c.heads * c.head_width),
            (&mut self.gate, c.inner_width),
            (&mut self.up, c.inner_width),
            (&mut self.cos, c.head_width / 2),
            (&mut self.sin, c.head_width / 2),
        ] {
            buffer.resize(rows * width, 0.0);
        }
        self.logits.resize(logits * c.vocabulary, 0.0);
    }

    pub(super) fn share(&mut self) -> Shares<'_> {
        Shares {
            x: Shared::new(&mut self.x),
            normed: Shared::new(&mut self.normed),
            sums: Shared::new(&mut self.sums),
            query: Shared::new(&mut self.query),
            key: Shared::new(&mut self.key),
            value: Shared::new(&mut self.value),
            mixed: Shared::new(&mut self.mixed),
            gate: Shared::new(&mut self.gate),
            up: Shared::new(&mut self.up),
            cos: Shared::new(&mut self.cos),
            sin: Shared::new(&mut self.sin),
            logits: Shared::new(&mut self.logits),
        }
    }
}

/// The buffers as the members of a team have them.
pub(super) struct Shares<'a> {
    x: Shared<'a, f32>,
    normed: Shared<'a, f32>,
    sums: Shared<'a, f32>,
    query: Shared<'a, f32>,
    key: Shared<'a, f32>,
    value: Shared<'a, f32>,
    mixed: Shared<'a, f32>,
    gate: Shared<'a, f32>,
    up: Shared<'a, f32>,
    cos: Shared<'a, f32>,
    sin: Shared<'a, f32>,
    logits: Shared<'a, f32>,
}

/// What one member needs for itself.
#[derive(Default)]
pub(super) struct Own {
    normed: Vec<f32>,
    sums: Vec<f32>,
    room: Room,
    scores: Scores,
}

/// One member's view of a pass over the tokens `ids`, the first at position `start`.
pub(super) struct Pass<'a> {
    pub(super) net: &'a Net,
    pub(super) isa: Isa,
    pub(super) member: &'a Member<'a>,
    pub(super) buffers: &'a Shares<'a>,
    pub(super) cache: SharedCache<'a>,
    pub(super) ids: &'a [u32],
    pub(super) start: usize,
    pub(super) want: Want,
}

// SAFETY of all access to shared buffers below: between two meetings, every element is written by at most one member, and
// what is read was written before the last meeting or by the reader itself.
impl Pass<'_> {
    pub(super) fn run(&self, own: &mut Own) {
        self.embed();
        self.member.meet();
        for (number, layer) in self.net.layers.iter().enumerate() {
            self.attention(number, layer, own);
            self.mlp(layer, own);
        }
        self.head(own);
    }

    fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Embeddings of the tokens, and angles of their positions.
    fn embed(&self) {
        let (c, b) = (&self.net.config, self.buffers);
        let half = c.head_width / 2;
        for row in self.member.share(self.rows()) {
            // SAFETY: rows are shared out.
            unsafe {
                self.net.embedding.column(self.ids[row] as usize, b.x.write(part(row, c.width)));
                let (cos, sin) = (b.cos.write(part(row, half)), b.sin.write(part(row, half)));
                self.net.rope.angles(self.start + row, cos, sin);
            }
        }
    }

    fn attention(&self, number: usize, layer: &Layer, own: &mut Own) {
        let (c, b, rows) = (&self.net.config, self.buffers, self.rows());
        let (wide, narrow) = (c.heads * c.head_width, c.kv_heads * c.head_width);
        let Own { normed, sums, room, scores } = own;
        let left = self.normed(&layer.attention_norm, 0..rows, normed, sums);
        let matrices = [(&layer.query, &b.query), (&layer.key, &b.key), (&layer.value, &b.value)];
        self.spread(&matrices, &left, room, |to, results| to.copy_from_slice(results));
        self.member.meet();
        self.turn(number, wide, narrow);
        self.member.meet();
        // SAFETY: read since the last meeting only.
        let query = unsafe { b.query.read(0..rows * wide) };
        let per = c.heads / c.kv_heads;
        if rows == 1 {
            // heads that share keys are attended to together
            let mine = self.member.share(c.heads);
            let mut from = mine.start;
            while from < mine.end {
                let kv = from / per;
                let to = mine.end.min((kv + 1) * per);
                let (offset, count) = (from * c.head_width, to - from);
                let q = Queries { values: query, offset, stride: c.head_width, count };
                let mut each = |i: usize, column: usize, results: &[f32]| {
                    let at = (from + i) * c.head_width + column;
                    // SAFETY: heads are shared out.
                    unsafe { b.mixed.write(at..at + results.len()) }.copy_from_slice(results);
                };
                // SAFETY: all keys and values were written before the last meeting.
                unsafe {
                    attend(self.isa, &self.cache, (number, kv), &q, &|_| self.start + 1, scores, &mut each);
                }
                from = to;
            }
        } else {
            let blocks = rows.div_ceil(QUERIES);
            for task in (self.member.index()..c.heads * blocks).step_by(self.member.count()) {
                let (head, first) = (task % c.heads, task / c.heads * QUERIES);
                let count = QUERIES.min(rows - first);
                let q = Queries {
                    values: query,
                    offset: first * wide + head * c.head_width,
                    stride: wide,
                    count,
                };
                let mut each = |i: usize, column: usize, results: &[f32]| {
                    let at = (first + i) * wide + head * c.head_width + column;
                    // SAFETY: tasks are shared out.
                    unsafe { b.mixed.write(at..at + results.len()) }.copy_from_slice(results);
                };
                let seen = |i: usize| self.start + first + i + 1;
                // SAFETY: all keys and values were written before the last meeting.
                unsafe {
                    attend(self.isa, &self.cache, (number, head / per), &q, &seen, scores, &mut each);
                }
            }
        }
        self.member.meet();
        let left = self.summed(&b.mixed, &layer.output, sums);
        self.spread(&[(&layer.output, &b.x)], &left, room, add);
        self.member.meet();
    }

    /// Turns queries and keys by their positions' angles, and stores keys and values.
    fn turn(&self, number: usize, wide: usize, narrow: usize) {
        let (c, b) = (&self.net.config, self.buffers);
        let (width, half) = (c.head_width, c.head_width / 2);
        for unit in self.member.share(c.heads + c.kv_heads) {
            for row in 0..self.rows() {
                // SAFETY: heads are shared out.
                unsafe {
                    let (cos, sin) = (b.cos.read(part(row, half)), b.sin.read(part(row, half)));
                    if unit < c.heads {
                        let at = row * wide + unit * width;
                        rotate(b.query.write(at..at + width), cos, sin);
                    } else {
                        let head = unit - c.heads;
                        let at = row * narrow + head * width;
                        let key = b.key.write(at..at + width);
                        rotate(key, cos, sin);
                        let value = b.value.read(at..at + width);
                        self.cache.put(number, head, self.start + row, key, value);
                    }
                }
            }
        }
    }

    fn mlp(&self, layer: &Layer, own: &mut Own) {
        let (b, inner) = (self.buffers, self.net.config.inner_width);
        let Own { normed, sums, room, .. } = own;
        let left = self.normed(&layer.mlp_norm, 0..self.rows(), normed, sums);
        let mine = self.member.share(layer.gate.panels());
        for (matrix, to) in [(&layer.gate, &b.gate), (&layer.up, &b.up)] {
            self.multiply(matrix, mine.clone(), to, &left, room, |to, results| to.copy_from_slice(results));
        }
        let columns = (mine.start * 32).min(inner)..(mine.end * 32).min(inner);
        for row in 0..self.rows() {
            let range = row * inner + columns.start..row * inner + columns.end;
            // SAFETY: columns are shared out, and this member wrote its own.
            unsafe { swiglu(b.gate.write(range.clone()), b.up.read(range)) };
        }
        self.member.meet();
        let left = self.summed(&b.gate, &layer.down, sums);
        self.spread(&[(&layer.down, &b.x)], &left, room, add);
        self.member.meet();
    }

    fn head(&self, own: &mut Own) {
        let rows = match self.want {
            Want::Nothing => return,
            Want::Last => self.rows() - 1..self.rows(),
            Want::All => 0..self.rows(),
        };
        let Own { normed, sums, room, .. } = own;
        let left = self.normed(&self.net.norm, rows, normed, sums);
        let head = self.net.head.as_ref().unwrap_or(&self.net.embedding);
        let logits = &self.buffers.logits;
        self.spread(&[(head, logits)], &left, room, |to, results| to.copy_from_slice(results));
    }

    /// Normalised rows of the residual stream, and the sums of their groups. A single row every member normalises for
    /// itself, which takes less time than meeting.
    fn normed<'b>(
        &'b self,
        weights: &[f32],
        rows: Range<usize>,
        own: &'b mut Vec<f32>,
        own_sums: &'b mut Vec<f32>,
    ) -> Left<'b> {
        let (width, b) = (self.net.config.width, self.buffers);
        let (count, groups) = (rows.len(), width / 32);
        let eps = self.net.config.epsilon as f32;
        let row = |row: usize, to: &mut [f32], sums: &mut [f32]| {
            // SAFETY: nobody writes to the stream before the next meeting.
            rms_norm(unsafe { b.x.read(part(row, width)) }, weights, eps, to);
            group_sums(to, sums);
        };
        if count == 1 {
            own.resize(width, 0.0);
            own_sums.resize(groups, 0.0);
            row(rows.start, own, own_sums);
            return Left { values: own, offset: 0, stride: width, count, sums: own_sums };
        }
        for i in self.member.share(count) {
            // SAFETY: rows are shared out.
            unsafe {
                row(rows.start + i, b.normed.write(part(i, width)), b.sums.write(part(i, groups)));
            }
        }
        self.member.meet();
        // SAFETY: nobody writes before the next meeting.
        let (values, sums) = unsafe { (b.normed.read(0..count * width), b.sums.read(0..count * groups)) };
        Left { values, offset: 0, stride: width, count, sums }
    }

    /// Rows as they are, with the sums of their groups where the matrix needs them.
    fn summed<'b>(&'b self, x: &Shared<'b, f32>, w: &Matrix, own_sums: &'b mut Vec<f32>) -> Left<'b> {
        let (count, width, b) = (self.rows(), w.inner(), self.buffers);
        // SAFETY: nobody writes before the next meeting.
        let values = unsafe { x.read(0..count * width) };
        let groups = width / 32;
        let mut left = Left { values, offset: 0, stride: width, count, sums: &[] };
        if !w.shifted() {
            return left;
        }
        if count == 1 {
            own_sums.resize(groups, 0.0);
            group_sums(values, own_sums);
            left.sums = own_sums;
            return left;
        }
        for row in self.member.share(count) {
            // SAFETY: rows are shared out.
            group_sums(&values[part(row, width)], unsafe { b.sums.write(part(row, groups)) });
        }
        self.member.meet();
        // SAFETY: nobody writes before the next meeting.
        left.sums = unsafe { b.sums.read(0..count * groups) };
        left
    }

    /// This member's share of the products with several matrices.
    fn spread(
        &self,
        matrices: &[(&Matrix, &Shared<f32>)],
        left: &Left,
        room: &mut Room,
        finish: impl Fn(&mut [f32], &[f32]),
    ) {
        let mine = self.member.share(matrices.iter().map(|m| m.0.panels()).sum());
        let mut first = 0;
        for (matrix, to) in matrices {
            let end = first + matrix.panels();
            let range = mine.start.clamp(first, end) - first..mine.end.clamp(first, end) - first;
            self.multiply(matrix, range, to, left, room, &finish);
            first = end;
        }
    }

    fn multiply(
        &self,
        matrix: &Matrix,
        panels: Range<usize>,
        to: &Shared<f32>,
        left: &Left,
        room: &mut Room,
        finish: impl Fn(&mut [f32], &[f32]),
    ) {
        matrix.multiply(self.isa, left, panels, room, &mut |row, column, results| {
            let at = row * matrix.columns() + column;
            // SAFETY: columns are shared out.
            finish(unsafe { to.write(at..at + results.len()) }, results);
        });
    }
}

/// Where a row of so many values lies.
fn part(row: usize, width: usize) -> Range<usize> {
    row * width..(row + 1) * width
}

fn add(to: &mut [f32], results: &[f32]) {
    to.iter_mut().zip(results).for_each(|(x, r)| *x += r);
}
