//! Weights in the order the kernel reads them.

/// Columns of a panel.
pub(super) const COLUMNS: usize = 32;

/// One row of a panel, on a cache line boundary.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; COLUMNS]);

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

impl Packed {
    /// Packs `value(k, column)`.
    pub(crate) fn new(
        depth: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        Self::pack(depth, columns, COLUMNS, value, bias, |panel, j| {
            Some(panel * COLUMNS + j).filter(|&c| c < columns)
        })
    }

    /// Packs values (the first half of the columns) beside their gates (the second half), 16 of each to a panel.
    pub(crate) fn gated(
        depth: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let (results, half) = (columns / 2, COLUMNS / 2);
        Self::pack(depth, results, half, value, bias, |panel, j| {
            Some(panel * half + j % half)
                .filter(|&c| c < results)
                .map(|c| if j < half { c } else { results + c })
        })
    }

    fn pack(
        depth: usize,
        results: usize,
        per_panel: usize,
        value: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
        column: impl Fn(usize, usize) -> Option<usize>,
    ) -> Self {
        let panels = results.div_ceil(per_panel);
        let line = |panel: usize, f: &dyn Fn(usize) -> f32| {
            Line(std::array::from_fn(|j| column(panel, j).map_or(0.0, f)))
        };
        let mut lines = Vec::with_capacity(panels * depth);
        for p in 0..panels {
            lines.extend((0..depth).map(|k| line(p, &|c| value(k, c))));
        }
        let bias = (0..panels).map(|p| line(p, &bias)).collect();
        Self { depth, results, per_panel, lines, bias }
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
