//! Fingerprints of whole checkpoints, streamed: memory stays at a few megabytes a thread.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::sketch::SignReader;
use super::tensor::{TensorSketch, TensorSketcher};
use crate::gguf::Gguf;
use crate::json::is_pointer;
use crate::weights::is_pickle;

/// Why a checkpoint could not be fingerprinted.
#[derive(Debug, thiserror::Error)]
pub enum CopiesError {
    /// A file or folder cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what it must be.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that the built-in engines do not read, either.
    #[error(transparent)]
    Weights(#[from] crate::Error),
}

type Result<T, E = CopiesError> = std::result::Result<T, E>;

const CHUNK: usize = 4 << 20;
/// Limit of safetensors itself.
const MAX_HEADER: u64 = 100_000_000;

/// What is kept of a checkpoint.
pub struct Fingerprint {
    pub(super) tensors: Vec<TensorSketch>,
    unread: Vec<String>,
}

impl Fingerprint {
    /// Reads all safetensors and GGUF files below `path` (a checkpoint folder, a component's folder, or one
    /// file), whatever they are called. `salt` chooses which part of each matrix is read, the same for all that are compared:
    /// drawn after submissions closed, it cannot be prepared for.
    ///
    /// # Errors
    /// When nothing is found, or a file is unreadable, truncated or malformed.
    pub fn of(path: &Path, salt: u64) -> Result<Self, CopiesError> {
        let Found { weights, bare } = Found::below(path)?;
        let bare = bare.iter().map(|folder| unread(folder)).collect();
        let sketches = weights.iter().map(|file| sketch(file, salt)).collect::<Result<Vec<_>>>()?;
        Ok(Self::sorted(sketches, bare))
    }

    /// The same of a stranger's folder, of the files in it that can be read: one that cannot hides none of the others.
    ///
    /// # Errors
    /// When none can be read; why not the first.
    pub fn of_readable(path: &Path, salt: u64) -> Result<Self, CopiesError> {
        let Found { weights, bare } = Found::below(path)?;
        let (mut sketches, mut errors) = (Vec::new(), Vec::new());
        for file in weights {
            match sketch(&file, salt) {
                Ok(of_file) => sketches.push(of_file),
                Err(error) => errors.push(error),
            }
        }
        errors.extend(bare.iter().map(|folder| unread(folder)));
        if sketches.is_empty() && !errors.is_empty() {
            return Err(errors.swap_remove(0));
        }
        Ok(Self::sorted(sketches, errors))
    }

    fn sorted(sketches: Vec<Vec<TensorSketch>>, unread: Vec<CopiesError>) -> Self {
        let mut tensors: Vec<TensorSketch> = sketches.into_iter().flatten().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Self { tensors, unread: unread.iter().map(CopiesError::to_string).collect() }
    }

    /// What should hold weights and was not read, each with the reason. Nothing can be said of a checkpoint in which there
    /// is any, but that it is a copy.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Weights in tensors large enough to be told apart.
    pub fn elements(&self) -> u64 {
        self.tensors.iter().map(|t| t.elements).sum()
    }
}

fn broken(path: &Path, problem: String) -> CopiesError {
    CopiesError::Checkpoint { path: path.to_owned(), problem }
}

/// What lies in a checkpoint.
#[derive(Default)]
struct Found {
    /// Files that hold weights, in order.
    weights: Vec<PathBuf>,
    /// Folders that describe a model or hold it as a pickle, and that have no such file.
    bare: Vec<PathBuf>,
}

impl Found {
    fn below(path: &Path) -> Result<Self> {
        let mut found = Self::default();
        found.collect(path, 0)?;
        found.weights.sort();
        found.bare.retain(|folder| is_used(path, folder));
        if found.weights.is_empty() {
            return Err(broken(path, "no .safetensors or .gguf file found in it".into()));
        }
        Ok(found)
    }

    fn collect(&mut self, path: &Path, depth: usize) -> Result<()> {
        let fail = |source| CopiesError::Read { path: path.to_owned(), source };
        if !std::fs::metadata(path).map_err(fail)?.is_dir() {
            self.weights.push(path.to_owned());
            return Ok(());
        }
        let known = self.weights.len();
        let mut is_model = false;
        for entry in std::fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?.path();
            // A checkpoint is at most two folders deep; links to parents end here too.
            if entry.is_dir() && depth < 3 {
                self.collect(&entry, depth + 1)?;
            } else if entry.is_file() && holds_weights(&entry) {
                self.weights.push(entry);
            } else {
                is_model |= is_pickle(&entry) || entry.file_name().is_some_and(|name| name == "config.json");
            }
        }
        if is_model && self.weights.len() == known {
            self.bare.push(path.to_owned());
        }
        Ok(())
    }
}

fn unread(folder: &Path) -> CopiesError {
    let problem = "no weights that can be read in it; expected a .safetensors or .gguf file";
    broken(folder, problem.to_owned())
}

/// Whether a folder in a checkpoint is a part of it: one that its `model_index.json` names, or any, where that names no UNet. The
/// hub's checkpoints come with the same weights for other programs beside them (`vae_decoder`, for one, as ONNX).
fn is_used(checkpoint: &Path, folder: &Path) -> bool {
    let index = std::fs::read(checkpoint.join("model_index.json")).ok();
    let index: Option<serde_json::Value> = index.and_then(|text| serde_json::from_slice(&text).ok());
    let inside = folder.strip_prefix(checkpoint).ok().and_then(|inside| inside.iter().next());
    match (index, inside.and_then(|name| name.to_str())) {
        (Some(index), Some(name)) if index.get("unet").is_some() => index.get(name).is_some(),
        _ => true,
    }
}

/// Whether a file holds weights: by its name, or by what it begins with, whatever it is called.
fn holds_weights(path: &Path) -> bool {
    if is(path, "safetensors") || is(path, "gguf") {
        return true;
    }
    let start = start_of(path).unwrap_or_default();
    let header = start.first_chunk().is_some_and(|size| u64::from_le_bytes(*size) <= MAX_HEADER);
    is_gguf(&start) || header && start.get(8) == Some(&b'{')
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn is_gguf(start: &[u8]) -> bool {
    start.starts_with(b"GGUF")
}

/// As much of a file's beginning as tells what it is.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(start)
}

fn sketch(file: &Path, salt: u64) -> Result<Vec<TensorSketch>> {
    let start = start_of(file).map_err(|source| CopiesError::Read { path: file.to_owned(), source })?;
    if is_pointer(&start) {
        return Err(crate::Error::Pointer { path: file.to_owned() }.into());
    }
    if is_gguf(&start) || is(file, "gguf") { sketch_gguf(file, salt) } else { sketch_file(file, salt) }
}

fn sketch_file(path: &Path, salt: u64) -> Result<Vec<TensorSketch>> {
    let fail = |source| CopiesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut size = [0; 8];
    read_at(&file, &mut size, 0).map_err(fail)?;
    let header = u64::from_le_bytes(size);
    if header > MAX_HEADER || header + 8 > length {
        return Err(broken(
            path,
            format!("its header claims {header} bytes; truncated or no safetensors file"),
        ));
    }
    let mut text = vec![0; header as usize];
    read_at(&file, &mut text, 8).map_err(fail)?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|e| broken(path, format!("malformed header: {e}")))?;
    // Folders of a checkpoint repeat names: both text encoders have the same.
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let mut tensors: Vec<(String, TensorInfo)> = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| (format!("{folder}/{name}"), info.clone()))
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let sketches = tensors
        .par_iter()
        .map(|(name, info)| sketch_tensor(&file, path, 8 + header, length, name, info, salt))
        .collect::<Result<Vec<_>>>()?;
    Ok(sketches.into_iter().flatten().collect())
}

/// The sketch of one tensor, whatever its shape and the type it is said to have; `None` for those too small to be told
/// apart.
fn sketch_tensor(
    file: &File,
    path: &Path,
    base: u64,
    length: u64,
    name: &str,
    info: &TensorInfo,
    salt: u64,
) -> Result<Option<TensorSketch>> {
    let (start, end) = (base + info.data_offsets.0 as u64, base + info.data_offsets.1 as u64);
    if end > length {
        return Err(broken(
            path,
            format!("tensor `{name}` ends at byte {end}, the file at {length}: truncated"),
        ));
    }
    let bytes = end.saturating_sub(start);
    let reader = SignReader::of(info.dtype);
    let Some(mut sketcher) = TensorSketcher::new(reader, &info.shape, bytes, salt) else { return Ok(None) };
    let mut buffer = vec![0; sketcher.step(CHUNK)];
    let mut at = start;
    while at < end {
        let n = buffer.len().min((end - at) as usize);
        read_at(file, &mut buffer[..n], at)
            .map_err(|source| CopiesError::Read { path: path.to_owned(), source })?;
        sketcher.push(&buffer[..n]);
        at += n as u64;
    }
    Ok(Some(sketcher.finish(name.to_owned())))
}

/// The sketches of a GGUF file's tensors: of the numbers that its blocks stand for, so that the same weights in another
/// file format are the same.
fn sketch_gguf(path: &Path, salt: u64) -> Result<Vec<TensorSketch>> {
    let file = Gguf::open(path)?;
    let names: Vec<&str> = file.names().collect();
    let sketch = |name: &&str| -> Result<Option<TensorSketch>> {
        let rows = file.rows(name)?;
        let bytes = 4 * rows.shape.iter().product::<usize>() as u64;
        let reader = SignReader::of(Dtype::F32);
        let Some(mut sketcher) = TensorSketcher::new(reader, rows.shape, bytes, salt) else {
            return Ok(None);
        };
        let mut row = Vec::new();
        rows.each(|values| {
            row.clear();
            row.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            sketcher.push(&row);
        });
        Ok(Some(sketcher.finish((*name).to_owned())))
    };
    let sketches = names.par_iter().map(sketch).collect::<Result<Vec<_>>>()?;
    Ok(sketches.into_iter().flatten().collect())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}
