//! The fingerprint of one tensor: of the matrix that it is, and of its numbers in a row.

use super::sequence::Sequence;
use super::sketch::{LEAST_BITS, Line, SignReader, Sketcher};

/// Numbers in a row that are looked at whatever their shape: vectors of a model's own are shorter.
const LEAST_SEQUENCE: u64 = 1 << 15;

/// What is kept of one tensor.
pub(super) struct TensorSketch {
    pub(super) name: String,
    pub(super) elements: u64,
    /// Along rows, along columns, and along all numbers in a row; of bytes that say not what they are, the last of every
    /// way to read them.
    pub(super) lines: Vec<Vec<Line>>,
}

/// Collects what is kept of a tensor whose bytes arrive in order.
pub(super) struct TensorSketcher {
    /// Of a matrix: its lines, and the number and the bytes of its rows.
    matrix: Option<(Sketcher, usize, usize)>,
    sequences: Vec<Sequence>,
    elements: u64,
}

impl TensorSketcher {
    /// A tensor of so many bytes, whatever its shape and the numbers it is said to have (`None`: bytes that may be any);
    /// `None` for those too small to be told apart.
    pub(super) fn new(reader: Option<SignReader>, shape: &[usize], bytes: u64, salt: u64) -> Option<Self> {
        let matrix = match (reader, shape) {
            (Some(reader), [rows, rest @ ..]) if !rest.is_empty() && bytes > 0 => {
                let columns: usize = rest.iter().product();
                let large = (*rows).max(columns) >= LEAST_BITS;
                large.then(|| (Sketcher::new(reader, *rows, columns, salt), *rows, columns * reader.size()))
            }
            _ => None,
        };
        // Bytes that are no numbers by their type may be those of any.
        let ways: &[(usize, usize)] = match reader.map(SignReader::size) {
            Some(1) => &[(1, 0)],
            Some(2) => &[(2, 0)],
            Some(4) => &[(4, 0)],
            Some(_) => &[(8, 0)],
            None => &[(1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)],
        };
        let elements = bytes / reader.map_or(2, SignReader::size) as u64;
        let sequences: Vec<Sequence> = if elements >= LEAST_SEQUENCE {
            ways.iter().map(|&(size, skip)| Sequence::new(size, skip, bytes, salt)).collect()
        } else {
            Vec::new()
        };
        (matrix.is_some() || !sequences.is_empty()).then_some(Self { matrix, sequences, elements })
    }

    /// How many bytes to push at once, about `most`: whole rows of a matrix.
    pub(super) fn step(&self, most: usize) -> usize {
        self.matrix.as_ref().map_or(most, |(_, rows, row)| (most / row).clamp(1, *rows) * row)
    }

    /// Takes the next bytes, of a matrix whole rows.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Some((sketcher, _, row)) = &mut self.matrix {
            bytes.chunks_exact(*row).for_each(|row| sketcher.push(row));
        }
        self.sequences.iter_mut().for_each(|sequence| sequence.push(bytes));
    }

    /// What is kept.
    pub(super) fn finish(self, name: String) -> TensorSketch {
        let mut lines: Vec<Vec<Line>> =
            self.matrix.into_iter().flat_map(|(sketcher, ..)| sketcher.finish()).collect();
        lines.extend(self.sequences.into_iter().map(Sequence::finish));
        TensorSketch { name, elements: self.elements, lines }
    }
}
