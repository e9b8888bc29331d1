//! The left matrix of a product, never copied: rows of a matrix, or the windows of a convolution.

/// Rows made of `taps` pieces of `inner` consecutive values.
pub(super) trait Rows: Sync {
    /// Where a row lies.
    type Place: Copy;
    /// Rows.
    fn count(&self) -> usize;
    /// Pieces per row.
    fn taps(&self) -> usize;
    /// Values per piece.
    fn inner(&self) -> usize;
    /// Places of `N` rows from `first`; rows past the end repeat the last.
    fn places<const N: usize>(&self, first: usize) -> [Self::Place; N];
    /// A piece, at least `inner` values.
    fn piece(&self, place: Self::Place, tap: usize) -> &[f32];
}

/// Rows of a matrix: row `i` starts at `offset + i·stride`.
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) offset: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) inner: usize,
}

impl Rows for Matrix<'_> {
    type Place = usize;
    fn count(&self) -> usize {
        self.count
    }
    fn taps(&self) -> usize {
        1
    }
    fn inner(&self) -> usize {
        self.inner
    }
    #[inline(always)]
    fn places<const N: usize>(&self, first: usize) -> [usize; N] {
        std::array::from_fn(|i| self.offset + (first + i).min(self.count - 1) * self.stride)
    }
    #[inline(always)]
    fn piece(&self, place: usize, _: usize) -> &[f32] {
        &self.values[place..place + self.inner]
    }
}

/// Windows of k × k pixels with zeros around, over channels-last images, which may be enlarged on the fly.
pub(super) struct Windows<'a> {
    values: &'a [f32],
    zeros: Vec<f32>,
    channels: usize,
    images: usize,
    image_len: usize,
    out: (usize, usize),
    /// Source rows (times the row's length) and columns (times channels) by output position and tap, negative outside.
    rows: Vec<isize>,
    columns: Vec<isize>,
    /// Row and column within the window by tap.
    taps: Vec<(usize, usize)>,
    kernel: usize,
}

/// Sizes of a convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Zeros around the (enlarged) image.
    pub(crate) padding: usize,
    /// Size the images are enlarged to (nearest neighbour) before the convolution; their own where they are not.
    pub(crate) enlarged: (usize, usize),
}

impl Geometry {
    /// Height and width of the result.
    pub(crate) fn out(&self) -> (usize, usize) {
        let size = |n: usize| (n + 2 * self.padding - self.kernel) / self.stride + 1;
        (size(self.enlarged.0), size(self.enlarged.1))
    }
}

impl<'a> Windows<'a> {
    pub(super) fn new(values: &'a [f32], g: Geometry) -> Self {
        let table = |out: usize, virtual_size: usize, size: usize, scale: usize| -> Vec<isize> {
            let position = |i: usize| {
                let at = (i / g.kernel * g.stride + i % g.kernel).checked_sub(g.padding)?;
                (at < virtual_size).then_some(at * size / virtual_size * scale)
            };
            (0..out * g.kernel).map(|i| position(i).map_or(-1, |p| p as isize)).collect()
        };
        let out = g.out();
        Self {
            values,
            zeros: vec![0.0; g.channels],
            channels: g.channels,
            images: g.images,
            image_len: g.height * g.width * g.channels,
            out,
            rows: table(out.0, g.enlarged.0, g.height, g.width * g.channels),
            columns: table(out.1, g.enlarged.1, g.width, g.channels),
            taps: (0..g.kernel * g.kernel).map(|t| (t / g.kernel, t % g.kernel)).collect(),
            kernel: g.kernel,
        }
    }
}

/// A pixel of the result: start of its image, and of its entries in the tables.
#[derive(Clone, Copy)]
pub(super) struct Pixel {
    image: usize,
    row: usize,
    column: usize,
}

impl Rows for Windows<'_> {
    type Place = Pixel;
    fn count(&self) -> usize {
        self.images * self.out.0 * self.out.1
    }
    fn taps(&self) -> usize {
        self.taps.len()
    }
    fn inner(&self) -> usize {
        self.channels
    }
    #[inline(always)]
    fn places<const N: usize>(&self, first: usize) -> [Pixel; N] {
        let (h, w) = self.out;
        let (mut y, mut x) = (first / w, first % w);
        let mut image = y / h;
        y %= h;
        std::array::from_fn(|_| {
            let place =
                Pixel { image: image * self.image_len, row: y * self.kernel, column: x * self.kernel };
            x += 1;
            if x == w {
                (x, y) = (0, y + 1);
            }
            if y == h {
                // past the last image: stay within it, the result is not used
                (y, image) = (0, (image + 1).min(self.images - 1));
            }
            place
        })
    }
    #[inline(always)]
    fn piece(&self, p: Pixel, tap: usize) -> &[f32] {
        let (dy, dx) = self.taps[tap];
        let (row, column) = (self.rows[p.row + dy], self.columns[p.column + dx]);
        if row < 0 || column < 0 {
            return &self.zeros;
        }
        let at = p.image + row as usize + column as usize;
        &self.values[at..at + self.channels]
    }
}
