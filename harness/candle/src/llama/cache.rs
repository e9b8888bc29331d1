//! On the processor: keys and values of the tokens read so far, laid out once for the longest text, in the panels that products read: keys with
//! positions as columns, values with positions as rows.
use crate::cpu::{COLUMNS, Line, Shared};
use crate::gguf::{TensorType, round};
use memmap2::MmapMut;

/// Sizes of a cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) kv_heads: usize,
    pub(super) head_width: usize,
    /// Positions at most.
    pub(super) capacity: usize,
}

impl Sizes {
    /// Panels of positions.
    fn spans(self) -> usize {
        self.capacity.div_ceil(COLUMNS)
    }

    /// Panels of a head's values.
    pub(super) fn slices(self) -> usize {
        self.head_width.div_ceil(COLUMNS)
    }

    /// Lines of the keys of one head.
    fn keys(self) -> usize {
        self.spans() * self.head_width
    }

    /// Lines of the values of one head.
    fn values(self) -> usize {
        self.slices() * self.spans() * COLUMNS
    }

    /// Lines of one head of one layer.
    fn head(self) -> usize {
        self.keys() + self.values()
    }

    /// Line where a head of a layer begins.
    fn start(self, layer: usize, head: usize) -> usize {
        (layer * self.kv_heads + head) * self.head()
    }
}

/// The cache; memory that was never written to takes none.
pub(super) struct Cache {
    sizes: Sizes,
    rounding: Option<TensorType>,
    data: MmapMut,
}

impl Cache {
    /// A cache of numbers that are rounded to a type as they are stored.
    pub(super) fn new(sizes: Sizes, rounding: Option<TensorType>) -> std::io::Result<Self> {
        let lines = sizes.layers * sizes.kv_heads * sizes.head();
        Ok(Self { sizes, rounding, data: MmapMut::map_anon(lines * size_of::<Line>())? })
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// For a team to write to and read from.
    pub(super) fn share(&mut self) -> SharedCache<'_> {
        let lines = self.data.len() / size_of::<Line>();
        // SAFETY: pages are aligned beyond a line's 64 bytes, any bits are numbers, and the borrow is exclusive.
        let lines = unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast::<Line>(), lines) };
        SharedCache { sizes: self.sizes, rounding: self.rounding, lines: Shared::new(lines) }
    }
}

/// The cache during a pass.
#[derive(Clone, Copy)]
pub(super) struct SharedCache<'a> {
    sizes: Sizes,
    rounding: Option<TensorType>,
    lines: Shared<'a, Line>,
}

impl<'a> SharedCache<'a> {
    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Stores key and value of one head at a position.
    ///
    /// # Safety
    /// Nobody else has this head of this layer meanwhile.
    pub(super) unsafe fn put(&self, layer: usize, head: usize, position: usize, key: &[f32], value: &[f32]) {
        let s = self.sizes;
        assert!(position < s.capacity);
        let rounded = self.rounding.map(|to| [key, value].map(|numbers| round(to, numbers)));
        let [key, value] = rounded.as_ref().map_or([key, value], |both| [&both[0], &both[1]]);
        let start = s.start(layer, head);
        // SAFETY: the caller vouches for the head.
        let lines = unsafe { self.lines.write(start..start + s.head()) };
        let (keys, values) = lines.split_at_mut(s.keys());
        let span = &mut keys[position / COLUMNS * s.head_width..][..s.head_width];
        for (line, k) in span.iter_mut().zip(key) {
            line.0[position % COLUMNS] = *k;
        }
        for (slice, v) in value.chunks(COLUMNS).enumerate() {
            values[slice * s.spans() * COLUMNS + position].0[..v.len()].copy_from_slice(v);
        }
    }

    /// The keys of 32 positions from `span`·32 of a head.
    ///
    /// # Safety
    /// Nobody writes to this head of this layer meanwhile.
    pub(super) unsafe fn keys(&self, layer: usize, head: usize, span: usize) -> &'a [Line] {
        let start = self.sizes.start(layer, head) + span * self.sizes.head_width;
        // SAFETY: the caller vouches for the head.
        unsafe { self.lines.read(start..start + self.sizes.head_width) }
    }

    /// The values of the first `count` positions, 32 columns from `slice`·32 of a head.
    ///
    /// # Safety
    /// Nobody writes to this head of this layer meanwhile.
    pub(super) unsafe fn values(&self, layer: usize, head: usize, slice: usize, count: usize) -> &'a [Line] {
        let s = self.sizes;
        let start = s.start(layer, head) + s.keys() + slice * s.spans() * COLUMNS;
        // SAFETY: the caller vouches for the head.
        unsafe { self.lines.read(start..start + count) }
    }
}
