//! A GGUF file, memory-mapped: header read whole, tensors by name.
use super::block::TensorType;
use super::value::{Reader, Value};
use crate::error::{Error, Result};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Dimensions of a tensor at most.
const DIMENSIONS: usize = 4;

/// Where a tensor lies and how it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its numbers are stored.
    pub kind: TensorType,
    /// Rows first, as in safetensors (the file has them the other way round).
    pub shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

/// An open file.
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Opens a file of version 2 or 3.
    ///
    /// # Errors
    /// [`Error::DamagedGguf`] where lengths, types or places of tensors do not fit the file.
    pub fn open(path: &Path) -> Result<Self> {
        let map = map(path)?;
        let damaged = |message| Error::DamagedGguf { path: path.to_path_buf(), message };
        let (values, tensors) = read(&map).map_err(damaged)?;
        Ok(Self { path: path.to_path_buf(), map, values, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A metadata value.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Where a tensor lies.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// A tensor's place and bytes, its shape checked.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<(TensorType, &[u8])> {
        let Some(info) = self.info(name) else {
            let (path, tensor, expected) = (self.path.clone(), name.to_owned(), shape.to_vec());
            return Err(Error::MissingTensor { path, tensor, expected });
        };
        if info.shape != shape {
            return Err(Error::WrongShape {
                path: self.path.clone(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: info.shape.clone(),
            });
        }
        Ok((info.kind, &self.map[info.range.clone()]))
    }

    /// A tensor's numbers as f32, row after row.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn values_of(&self, name: &str) -> Result<Vec<f32>> {
        let Rows { shape, kind, bytes } = self.rows(name)?;
        let mut values = vec![0f32; shape.iter().product()];
        kind.row(bytes, &mut values);
        Ok(values)
    }

    /// A tensor's numbers, to be read a row at a time.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub(crate) fn rows(&self, name: &str) -> Result<Rows<'_>> {
        let shape = self.info(name).map_or(&[][..], |info| &info.shape);
        let (kind, bytes) = self.tensor(name, shape)?;
        Ok(Rows { shape, kind, bytes })
    }
}

/// A tensor's numbers.
pub(crate) struct Rows<'a> {
    /// Rows first.
    pub(crate) shape: &'a [usize],
    kind: TensorType,
    bytes: &'a [u8],
}

impl Rows<'_> {
    /// Gives all numbers of each first index, in order; of a vector, which has no rows, all at once: its blocks are not cut.
    pub(crate) fn each(&self, mut take: impl FnMut(&[f32])) {
        let (rows, row) = match self.shape {
            [rows, row @ ..] if !row.is_empty() => (*rows, row),
            row => (1, row),
        };
        let mut values = vec![0f32; row.iter().product()];
        for bytes in self.bytes.chunks_exact(self.bytes.len() / rows) {
            self.kind.row(bytes, &mut values);
            take(&values);
        }
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

/// Whether what a file says of itself can be read, and where its tensors lie: other readers trust it.
///
/// # Errors
/// [`Error::DamagedGguf`], as of [`Gguf::open`].
pub(crate) fn check_header(path: &Path) -> Result<()> {
    let map = map(path)?;
    let damaged = |message| Error::DamagedGguf { path: path.to_path_buf(), message };
    header(&mut Reader::new(&map)).map(drop).map_err(damaged)
}

fn map(path: &Path) -> Result<Mmap> {
    let handle = std::fs::File::open(path).map_err(Error::io(path))?;
    // SAFETY: the map is read-only; a file changed by somebody else while it is loaded is outside this contract, as with
    // safetensors.
    unsafe { Mmap::map(&handle) }.map_err(Error::io(path))
}

/// The number of tensors, what the file says of itself, and the multiple that its tensors begin at.
fn header(r: &mut Reader) -> Result<(usize, BTreeMap<String, Value>, u64), String> {
    if r.u32()? != u32::from_le_bytes(*b"GGUF") {
        return Err("it does not begin with `GGUF`".to_owned());
    }
    let version = r.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("version {version}, expected 2 or 3"));
    }
    // a tensor takes at least a name's length, dimensions, a type and a place; a value a name's length, a type and a byte
    let tensor_count = r.count("tensors", 24)?;
    let value_count = r.count("metadata values", 13)?;
    let mut values = BTreeMap::new();
    for _ in 0..value_count {
        let key = r.text()?;
        let value = r.value().map_err(|e| format!("`{key}`: {e}"))?;
        if values.insert(key.clone(), value).is_some() {
            return Err(format!("metadata `{key}` is there twice"));
        }
    }
    let alignment =
        match values.get("general.alignment") {
            None => 32,
            Some(v) => v.unsigned().filter(|n| n.is_power_of_two() && (8..=1 << 16).contains(n)).ok_or_else(
                || format!("`general.alignment` is {v:?}, expected a power of two from 8 to 65536"),
            )?,
        };
    Ok((tensor_count, values, alignment))
}

fn read(bytes: &[u8]) -> Result<Header, String> {
    let mut r = Reader::new(bytes);
    let (tensor_count, values, alignment) = header(&mut r)?;
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let name = r.text()?;
        let (kind, shape, place) = tensor(&mut r, alignment).map_err(|e| format!("tensor `{name}`: {e}"))?;
        if tensors.insert(name.clone(), (kind, shape, place)).is_some() {
            return Err(format!("tensor `{name}` is there twice"));
        }
    }
    let start = (r.position() as u64).next_multiple_of(alignment);
    let placed = tensors.into_iter().map(|(name, (kind, shape, place))| {
        let size = size(kind, &shape).ok_or_else(|| {
            format!("tensor `{name}`: its rows of {:?} are no whole blocks of {kind:?}", shape.last())
        })?;
        let from = start.checked_add(place);
        let to = from.and_then(|f| f.checked_add(size)).filter(|to| *to <= bytes.len() as u64);
        let (Some(from), Some(to)) = (from, to) else {
            return Err(format!(
                "tensor `{name}`: {size} bytes from byte {place} of the tensors do not fit the file of {} bytes: truncated",
                bytes.len()
            ));
        };
        Ok((name, TensorInfo { kind, shape, range: from as usize..to as usize }))
    });
    let tensors = placed.collect::<Result<_, String>>()?;
    Ok((values, tensors))
}

fn tensor(r: &mut Reader, alignment: u64) -> Result<(TensorType, Vec<usize>, u64), String> {
    let dimensions = r.u32()? as usize;
    if !(1..=DIMENSIONS).contains(&dimensions) {
        return Err(format!("{dimensions} dimensions, expected 1 to {DIMENSIONS}"));
    }
    let mut shape = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        let size = r.u64()?;
        shape.push(usize::try_from(size).map_err(|_| format!("a dimension of {size}"))?);
    }
    shape.reverse();
    let kind = TensorType::from_number(r.u32()?)
        .map_err(|found| format!("stored as {found}, expected {}", TensorType::ALL))?;
    let place = r.u64()?;
    if !place.is_multiple_of(alignment) {
        return Err(format!("its place {place} is no multiple of {alignment}"));
    }
    Ok((kind, shape, place))
}

/// Bytes of a tensor, where its rows are whole blocks.
fn size(kind: TensorType, shape: &[usize]) -> Option<u64> {
    let (numbers, bytes) = kind.block();
    let total = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d as u64))?;
    let row = *shape.last()?;
    if total == 0 || !row.is_multiple_of(numbers) {
        return None;
    }
    (total / numbers as u64).checked_mul(bytes as u64)
}
