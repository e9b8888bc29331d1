//! Weights in the order in which the matrix kernel (`gemm.rs`) reads them; stored formats and the cache of keys and values lie in
//! the same panels.

/// Columns of a panel.
pub(crate) const COLUMNS: usize = 32;

/// One row of a panel, on a cache line boundary.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; COLUMNS]);

/// The right matrix of a product, `[depth, columns]`, cut into panels of 32 columns, with a bias.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    depth: usize,
    results: usize,
    /// Results per panel: 32, or 16 where values and gates share a panel.
    per_panel: usize,
    lines: Vec<Line>,
    bias: Vec<Line>,
}

/// Where `value(k, column)` of the matrix to pack lies: at `k·down + column·across`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) down: usize,
    pub(crate) across: usize,
}

impl Packed {
    /// Packs a matrix of `depth` rows and as many columns as there are biases.
    pub(crate) fn new(depth: usize, source: Source, bias: &[f32]) -> Self {
        let columns = bias.len();
        let panels = columns.div_ceil(COLUMNS);
        let mut packed = Self::empty(depth, columns, COLUMNS, panels);
        for p in 0..panels {
            let from = p * COLUMNS;
            packed.fill(p, 0, source, from, COLUMNS.min(columns - from), bias);
        }
        packed
    }

    /// Packs values (the first half of the columns) beside their gates (the second half), 16 of each to a panel.
    pub(crate) fn gated(depth: usize, source: Source, bias: &[f32]) -> Self {
        let (results, half) = (bias.len() / 2, COLUMNS / 2);
        let panels = results.div_ceil(half);
        let mut packed = Self::empty(depth, results, half, panels);
        for p in 0..panels {
            let from = p * half;
            let count = half.min(results - from);
            packed.fill(p, 0, source, from, count, bias);
            packed.fill(p, half, source, results + from, count, bias);
        }
        packed
    }

    fn empty(depth: usize, results: usize, per_panel: usize, panels: usize) -> Self {
        let zero = Line([0.0; COLUMNS]);
        Self { depth, results, per_panel, lines: vec![zero; panels * depth], bias: vec![zero; panels] }
    }

    /// Fills `count` columns of a panel, from its column `to`, with those of the source from `from`.
    fn fill(&mut self, panel: usize, to: usize, s: Source, from: usize, count: usize, bias: &[f32]) {
        self.bias[panel].0[to..to + count].copy_from_slice(&bias[from..from + count]);
        let lines = &mut self.lines[panel * self.depth..][..self.depth];
        if s.across == 1 {
            for (k, line) in lines.iter_mut().enumerate() {
                line.0[to..to + count].copy_from_slice(&s.values[k * s.down + from..][..count]);
            }
        } else {
            for j in 0..count {
                let column = &s.values[(from + j) * s.across..];
                for (line, v) in lines.iter_mut().zip(column.iter().step_by(s.down)) {
                    line.0[to + j] = *v;
                }
            }
        }
    }

    /// Length of the inner dimension.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Results per row.
    pub(crate) fn results(&self) -> usize {
        self.results
    }

    /// Results per panel.
    pub(super) fn panel_results(&self) -> usize {
        self.per_panel
    }

    /// Panels with their biases.
    pub(super) fn panels(&self) -> impl Iterator<Item = (&[Line], &Line)> {
        self.lines.chunks(self.depth.max(1)).zip(&self.bias)
    }
}
