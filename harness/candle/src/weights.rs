//! Weights of one model component: one safetensors file or several shards, memory-mapped, read by name with the
//! shape checked, converted to the compute type on the way.
//!
//! Besides f32, f16, bf16 (and f64) a tensor may be stored as int8 per output channel: `NAME` as I8 and `NAME.scale` as
//! F32 of shape `[dim 0]`; its value is q·scale. See [`crate::derive`].
use crate::cuda::Cuda;
use crate::error::{Error, Result};
use crate::json::{is_pointer, read_json};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone)]
struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

struct Store {
    files: Vec<(PathBuf, Arc<Mmap>)>,
    entries: BTreeMap<String, Entry>,
}

/// Shard index of a component: which file holds which tensor.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// What is added to weights when they are read.
pub(crate) trait Change: Send + Sync {
    /// Whether the tensor of this full name changes.
    fn concerns(&self, name: &str) -> bool;

    /// Changes its values, in row-major order.
    fn apply(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<()>;
}

/// Named weights below a prefix; cheap to clone.
#[derive(Clone)]
pub struct Weights {
    store: Arc<Store>,
    change: Option<Arc<dyn Change>>,
    prefix: String,
    dtype: DType,
    device: Device,
    plain: bool,
    unread: bool,
    cuda: Option<Cuda>,
}

/// How transformers calls a component's weights; diffusers' are called otherwise.
const TRANSFORMERS: &str = "model";

/// The safetensors files of a component's folder, by the names diffusers and transformers use: `STEM.safetensors` or its
/// shards by index, then the `.fp16` variants of both. Where both are there, diffusers takes the shards
/// (`ModelMixin.from_pretrained`) and transformers the one file (`_get_resolved_checkpoint_files`).
///
/// # Errors
/// [`Error::Pickle`] where only a pickle is found, [`Error::NoWeights`] where nothing is.
pub fn component_files(dir: &Path, stem: &str) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Err(Error::Io {
            path: dir.to_path_buf(),
            source: std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "no such folder in the checkpoint (expected the diffusers layout)",
            ),
        });
    }
    for variant in ["", ".fp16"] {
        let single = dir.join(format!("{stem}{variant}.safetensors"));
        let single = single.is_file().then_some(single);
        let index = [
            format!("{stem}.safetensors.index{variant}.json"),
            format!("{stem}{variant}.safetensors.index.json"),
        ];
        let index = index.into_iter().map(|name| dir.join(name)).find(|path| path.is_file());
        match (single, index) {
            (Some(single), None) => return Ok(vec![single]),
            (Some(single), Some(_)) if stem == TRANSFORMERS => return Ok(vec![single]),
            (_, Some(index)) => return shards(dir, &index),
            (None, None) => {}
        }
    }
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(dir).map_err(Error::io(dir))?.flatten().map(|e| e.path()).collect();
    names.sort();
    for path in names {
        if is_pickle(&path) {
            return Err(Error::Pickle { path });
        }
    }
    Err(Error::NoWeights {
        path: dir.to_path_buf(),
        expected: format!(
            "{stem}.safetensors, {stem}.fp16.safetensors or {stem}.safetensors.index.json with its shards"
        ),
    })
}

/// Whether a file is a pickle by its name.
pub(crate) fn is_pickle(path: &Path) -> bool {
    let pickles = ["bin", "ckpt", "pt", "pth"];
    path.extension().is_some_and(|found| pickles.iter().any(|pickle| found.eq_ignore_ascii_case(pickle)))
}

fn shards(dir: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let map: Index = read_json(index)?;
    let mut files: Vec<String> = map.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(Error::config(index, "weight_map", "nothing", "tensors, each with its file"));
    }
    for f in &files {
        if Path::new(f).components().count() != 1 || !f.ends_with(".safetensors") {
            return Err(Error::config(
                index,
                "weight_map",
                f,
                "the name of a .safetensors file in the same folder",
            ));
        }
    }
    Ok(files.into_iter().map(|f| dir.join(f)).collect())
}

impl Weights {
    /// Opens the weights in a component's folder (`stem` is `model` for transformers' components and
    /// `diffusion_pytorch_model` for diffusers'); tensors are converted to `dtype` on `device` when read.
    pub fn open_dir(dir: &Path, stem: &str, dtype: DType, device: &Device) -> Result<Self> {
        Self::open_files(component_files(dir, stem)?, dtype, device)
    }

    /// Opens one or several safetensors files as one set.
    pub fn open_files(paths: Vec<PathBuf>, dtype: DType, device: &Device) -> Result<Self> {
        let mut entries = BTreeMap::new();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let handle = std::fs::File::open(&path).map_err(Error::io(&path))?;
            // SAFETY: the map is read-only; a file changed by somebody else while it is loaded is outside this contract,
            // as with every reader of safetensors.
            let map = unsafe { Mmap::map(&handle) }.map_err(Error::io(&path))?;
            if is_pointer(&map) {
                return Err(Error::Pointer { path });
            }
            let damaged = |message: String| Error::Damaged { path: path.clone(), message };
            let (header, meta) = SafeTensors::read_metadata(&map).map_err(|e| damaged(e.to_string()))?;
            for (name, info) in meta.tensors() {
                let start = 8 + header;
                let range = start + info.data_offsets.0..start + info.data_offsets.1;
                if range.end > map.len() {
                    return Err(damaged(format!(
                        "tensor `{name}` ends at byte {}, the file at {}: truncated",
                        range.end,
                        map.len()
                    )));
                }
                let entry = Entry { file: files.len(), dtype: info.dtype, shape: info.shape.clone(), range };
                if let Some(other) = entries.insert(name.clone(), entry) {
                    let (other, _): &(PathBuf, Arc<Mmap>) = &files[other.file];
                    let message =
                        format!("tensor `{name}` stands in {}, too; which one is meant?", other.display());
                    return Err(damaged(message));
                }
            }
            files.push((path, Arc::new(map)));
        }
        Ok(Self {
            store: Arc::new(Store { files, entries }),
            change: None,
            prefix: String::new(),
            dtype,
            device: device.clone(),
            plain: false,
            unread: false,
            cuda: Cuda::of(device)?,
        })
    }

    /// The same weights with something added to them.
    #[must_use]
    pub(crate) fn changed(&self, change: impl Change + 'static) -> Self {
        Self { change: Some(Arc::new(change)), ..self.clone() }
    }

    /// The tensors of the same files that `name_of` names, by these names.
    #[must_use]
    pub(crate) fn renamed(&self, name_of: impl Fn(&str) -> Option<String>) -> Self {
        let named = self.store.entries.iter().filter_map(|(name, e)| Some((name_of(name)?, e.clone())));
        let store = Store { files: self.store.files.clone(), entries: named.collect() };
        Self { store: Arc::new(store), ..self.clone() }
    }

    /// The weights below `name`.
    #[must_use]
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.full(&name.to_string()), ..self.clone() }
    }

    /// The same weights, read as another type.
    #[must_use]
    pub fn with_dtype(&self, dtype: DType) -> Self {
        Self { dtype, ..self.clone() }
    }

    /// The same weights for layers that use candle's own operations even where fused ones exist.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self { plain: true, cuda: None, ..self.clone() }
    }

    /// The same weights for layers that are only looked at: of each tensor, name, shape and storage are checked, and zeros
    /// that take no memory stand for what it holds.
    #[must_use]
    pub(crate) fn unread(&self) -> Self {
        Self { unread: true, ..self.plain() }
    }

    /// Whether [`Self::unread`] says so.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread
    }

    /// The same weights for layers whose products of f32 may round their factors to TF32 where that is faster.
    #[must_use]
    pub fn allowing_tf32(&self) -> Self {
        Self { cuda: self.cuda.as_ref().map(Cuda::allowing_tf32), ..self.clone() }
    }

    /// The GPU whose fused operations layers use, unless [`Self::plain`] says otherwise.
    pub(crate) fn cuda(&self) -> Option<&Cuda> {
        self.cuda.as_ref()
    }

    /// As [`Self::cuda`], for a layer whose tensors end in that many channels.
    pub(crate) fn cuda_for(&self, channels: &[usize]) -> Option<Cuda> {
        self.cuda.clone().filter(|cuda| channels.iter().all(|&c| cuda.fits(c, self.dtype)))
    }

    /// Whether layers use the fused operations: on the CPU, unless [`Self::plain`] says otherwise.
    pub fn fused(&self) -> bool {
        self.device.is_cpu() && !self.plain
    }

    /// Type that tensors are read as.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Device that tensors are read to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The file, or the first of the shards, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.store.files.first().map(|f| f.0.clone()).unwrap_or_default()
    }

    /// Whether a tensor of that name exists below the prefix.
    pub fn contains(&self, name: &str) -> bool {
        self.store.entries.contains_key(&self.full(name))
    }

    /// Full names of all tensors, sorted, whatever the prefix.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.store.entries.keys().map(String::as_str)
    }

    /// Storage type and shape of a tensor below the prefix.
    pub fn info(&self, name: &str) -> Option<(Dtype, &[usize])> {
        self.store.entries.get(&self.full(name)).map(|e| (e.dtype, e.shape.as_slice()))
    }

    /// The stored bytes of a tensor below the prefix.
    pub(crate) fn bytes_of(&self, name: &str) -> Option<&[u8]> {
        self.store.entries.get(&self.full(name)).map(|e| self.bytes(e))
    }

    /// A tensor's storage type and bytes, its shape checked.
    pub(crate) fn stored(&self, shape: &[usize], name: &str) -> Result<(Dtype, &[u8])> {
        let (_, entry) = self.entry(shape, name)?;
        Ok((entry.dtype, self.bytes(entry)))
    }

    /// Whether a tensor is there, has this shape, and is stored as what can be read; its numbers are not read.
    pub(crate) fn check(&self, shape: &[usize], name: &str) -> Result<()> {
        self.readable(shape, name).map(drop)
    }

    /// Reads a tensor, checking its shape.
    pub fn get(&self, shape: &[usize], name: &str) -> Result<Tensor> {
        let (_, entry) = self.readable(shape, name)?;
        if self.unread {
            return Ok(Tensor::zeros((), self.dtype, &Device::Cpu)?.broadcast_as(shape)?);
        }
        let stored = match entry.dtype {
            Dtype::F16 => Some(DType::F16),
            Dtype::BF16 => Some(DType::BF16),
            Dtype::F32 => Some(DType::F32),
            _ => None,
        };
        let changes = self.change.as_ref().is_some_and(|change| change.concerns(&self.full(name)));
        if let (Some(dtype), false) = (stored, self.device.is_cpu() || changes) {
            // straight from the file to the device, which converts faster
            let read = || Tensor::from_raw_buffer(self.bytes(entry), dtype, shape, &self.device);
            let tensor = match &self.cuda {
                Some(cuda) if dtype != self.dtype => cuda.aside(read)?,
                _ => read()?,
            };
            return Ok(tensor.to_dtype(self.dtype)?);
        }
        let values = self.values(shape, name)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?.to_device(&self.device)?)
    }

    /// Reads a tensor's values as f32 in row-major order, checking its shape.
    pub fn values(&self, shape: &[usize], name: &str) -> Result<Vec<f32>> {
        let (scale, entry) = self.readable(shape, name)?;
        let bytes = self.bytes(entry);
        let mut values = match (entry.dtype, scale) {
            (Dtype::F16, _) => words(bytes, |b| f16::from_le_bytes(b).to_f32()),
            (Dtype::BF16, _) => words(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            (Dtype::F64, _) => words(bytes, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
            (Dtype::I8, Some(scale)) => {
                let scale = words(self.bytes(scale), f32::from_le_bytes);
                let row = bytes.len() / scale.len().max(1);
                bytes.iter().enumerate().map(|(i, &q)| f32::from(q as i8) * scale[i / row]).collect()
            }
            (Dtype::F8_E4M3, _) => bytes.iter().map(|b| crate::float8::e4m3(*b)).collect(),
            (Dtype::F8_E5M2, _) => bytes.iter().map(|b| crate::float8::e5m2(*b)).collect(),
            _ => words(bytes, f32::from_le_bytes),
        };
        let full = self.full(name);
        if let Some(change) = self.change.as_ref().filter(|change| change.concerns(&full)) {
            change.apply(&full, shape, &mut values)?;
        }
        Ok(values)
    }

    /// A tensor that this engine can read, its shape checked, and the scale of its channels where it is stored as int8.
    fn readable(&self, shape: &[usize], name: &str) -> Result<(Option<&Entry>, &Entry)> {
        let (full, entry) = self.entry(shape, name)?;
        match entry.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64 | Dtype::F8_E4M3 | Dtype::F8_E5M2 => {
                Ok((None, entry))
            }
            Dtype::I8 => {
                let channels = shape.first().copied().unwrap_or(1);
                let (scale_name, scale) = self.entry(&[channels], &format!("{name}.scale"))?;
                if scale.dtype != Dtype::F32 {
                    return Err(self.wrong_dtype(scale_name, scale, "F32"));
                }
                Ok((Some(scale), entry))
            }
            _ => Err(self.wrong_dtype(
                full,
                entry,
                "F32, F16, BF16, F64, F8_E4M3, F8_E5M2, or I8 with a `.scale`",
            )),
        }
    }

    /// Reads a tensor's values rounded to the compute type, as f32.
    pub(crate) fn rounded(&self, shape: &[usize], name: &str) -> Result<Vec<f32>> {
        let mut values = self.values(shape, name)?;
        match self.dtype {
            DType::F16 => values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32()),
            DType::BF16 => values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32()),
            _ => {}
        }
        Ok(values)
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        &self.store.files[entry.file].1[entry.range.clone()]
    }

    fn entry(&self, shape: &[usize], name: &str) -> Result<(String, &Entry)> {
        let full = self.full(name);
        let Some(entry) = self.store.entries.get(&full) else {
            let path = self.store.files.first().map(|f| f.0.clone()).unwrap_or_default();
            return Err(Error::MissingTensor { path, tensor: full, expected: shape.to_vec() });
        };
        if entry.shape != shape {
            let path = self.store.files[entry.file].0.clone();
            return Err(Error::WrongShape {
                path,
                tensor: full,
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        Ok((full, entry))
    }

    fn wrong_dtype(&self, tensor: String, entry: &Entry, expected: &str) -> Error {
        let path = self.store.files[entry.file].0.clone();
        Error::WrongDtype {
            path,
            tensor,
            found: format!("{:?}", entry.dtype),
            expected: expected.to_string(),
        }
    }
}

fn words<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|c| read(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_has_one_place() {
        let folder = tempfile::tempdir().expect("folder");
        let paths = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
        let tensor = Tensor::zeros(2, DType::F32, &Device::Cpu).expect("tensor");
        for (path, own) in paths.iter().zip(["x", "y"]) {
            let both = std::collections::HashMap::from([(own, tensor.clone()), ("shared", tensor.clone())]);
            candle_core::safetensors::save(&both, path).expect("saved");
        }
        let open = |paths: &[PathBuf]| Weights::open_files(paths.to_vec(), DType::F32, &Device::Cpu);
        assert!(open(&paths[..1]).is_ok());
        let said = open(&paths).err().expect("must be refused").to_string();
        assert!(said.contains("b.safetensors") && said.contains("`shared` stands in"), "{said}");
    }

    #[test]
    fn of_one_file_and_shards_each_library_takes_its_own() {
        let folder = tempfile::tempdir().expect("folder");
        let files = |stem: &str| {
            let names = component_files(folder.path(), stem).expect("files").into_iter();
            names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        for stem in ["model", "diffusion_pytorch_model"] {
            let shards = [1, 2].map(|n| format!("{stem}-0000{n}-of-00002.safetensors"));
            let map = serde_json::json!({"weight_map": {"a": shards[0], "b": shards[1]}});
            let place = |name: &str| folder.path().join(name);
            std::fs::write(place(&format!("{stem}.safetensors.index.json")), map.to_string()).expect("index");
            assert_eq!(files(stem), shards);
            std::fs::write(place(&format!("{stem}.safetensors")), "").expect("file");
            let single = vec![format!("{stem}.safetensors")];
            assert_eq!(files(stem), if stem == "model" { single } else { shards.to_vec() });
        }
    }
}
