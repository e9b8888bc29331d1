//! Tables for a terminal.

/// Which side of a cell is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells. A column is as wide as its widest cell; two spaces stand between columns, none behind the last.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    align: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(align: [Align; N]) -> Self {
        Self { align, rows: Vec::new() }
    }

    pub(crate) fn row<T: Into<String>>(&mut self, cells: [T; N]) {
        self.rows.push(cells.map(Into::into));
    }

    /// A line for each row.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let cell = |(column, text): (usize, &String)| match self.align[column] {
            Align::Left => format!("{text:<width$}", width = widths[column]),
            Align::Right => format!("{text:>width$}", width = widths[column]),
        };
        let line = |row: &[String; N]| {
            let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
            cells.join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
        table.row(["a", "1", "first"]);
        table.row(["längst", "10", ""]);
        assert_eq!(table.lines(), ["a        1  first", "längst  10"]);
        assert!(Table::<2>::new([Align::Left; 2]).lines().is_empty());
    }
}
