//! Products of f32 matrices, on one thread each: whoever calls decides what runs side by side.

/// Multiplies rows: `out[m, n] (+)= a[m, k] · b[n, k]ᵀ · scale`, each row-major with its own stride.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) scale: f32,
    /// Adds to what `out` holds instead of replacing it.
    pub(crate) add: bool,
}

/// A matrix inside a slice: distance between its rows and between its columns.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a> Strided<'a> {
    /// A dense row-major matrix of that many columns.
    pub(crate) fn dense(values: &'a [f32], columns: usize) -> Self {
        Self { values, row: columns, column: 1 }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows > 0 && columns > 0 && (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

impl Product {
    /// `out` has rows of `stride` values, of which the first `n` are written.
    ///
    /// # Panics
    /// When a matrix does not fit its slice: shapes are fixed when a model is loaded.
    pub(crate) fn run(self, a: Strided<'_>, b: Strided<'_>, out: &mut [f32], stride: usize) {
        let Self { m, n, k, scale, add } = self;
        assert!(a.holds(m, k) && b.holds(n, k), "factors fit their slices");
        assert!(m > 0 && n <= stride && (m - 1) * stride + n <= out.len(), "product fits its slice");
        let beta = if add { 1.0 } else { 0.0 };
        // SAFETY: every address touched is inside the slices (asserted above), and `out` is
        // borrowed mutably, so it overlaps neither factor.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                stride as isize,
                add,
                a.values.as_ptr(),
                a.column as isize,
                a.row as isize,
                b.values.as_ptr(),
                b.row as isize,
                b.column as isize,
                beta,
                scale,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_multiplies_by_the_transpose() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 1.0, 2.0, 1.0, 0.0]);
        let mut out = [10.0; 4];
        let product = Product { m: 2, n: 2, k: 3, scale: 2.0, add: false };
        product.run(Strided::dense(&a, 3), Strided::dense(&b, 3), &mut out, 2);
        assert_eq!(out, [8.0, 8.0, 20.0, 26.0]);
        Product { add: true, ..product }.run(Strided::dense(&a, 3), Strided::dense(&b, 3), &mut out, 2);
        assert_eq!(out, [16.0, 16.0, 40.0, 52.0]);
    }
}
