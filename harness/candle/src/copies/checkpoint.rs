//! Fingerprints of whole checkpoints, streamed: memory stays at a few megabytes a thread.

use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use safetensors::tensor::{Metadata, TensorInfo};

use super::sequence::Sequence;
use super::sketch::{LEAST_BITS, Line, SignReader, Sketcher};

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
}

type Result<T, E = CopiesError> = std::result::Result<T, E>;

const CHUNK: usize = 4 << 20;
/// Numbers in a row that are looked at whatever their shape: vectors of a model's own are shorter.
const LEAST_SEQUENCE: u64 = 1 << 15;
/// Limit of safetensors itself.
const MAX_HEADER: u64 = 100_000_000;

/// What is kept of one tensor.
pub(super) struct TensorSketch {
    pub(super) name: String,
    pub(super) elements: u64,
    /// Along rows, along columns, and along all numbers in a row; of bytes that say not what they are, the last of every
    /// way to read them.
    pub(super) lines: Vec<Vec<Line>>,
}

/// What is kept of a checkpoint.
pub struct Fingerprint {
    pub(super) tensors: Vec<TensorSketch>,
}

impl Fingerprint {
    /// Reads all safetensors files below `path` (a checkpoint folder, a component's folder, or one
    /// file). `salt` chooses which part of each matrix is read, the same for all that are compared:
    /// drawn after submissions closed, it cannot be prepared for.
    ///
    /// # Errors
    /// When nothing is found, or a file is unreadable, truncated or malformed.
    pub fn of(path: &Path, salt: u64) -> Result<Self, CopiesError> {
        let mut files = Vec::new();
        collect(path, 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(broken(path, "no .safetensors file found in it".into()));
        }
        let mut tensors = Vec::new();
        for file in files {
            tensors.extend(sketch_file(&file, salt)?);
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { tensors })
    }

    /// Weights in tensors large enough to be told apart.
    pub fn elements(&self) -> u64 {
        self.tensors.iter().map(|t| t.elements).sum()
    }
}

fn broken(path: &Path, problem: String) -> CopiesError {
    CopiesError::Checkpoint { path: path.to_owned(), problem }
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |source| CopiesError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?.path();
        // A checkpoint is at most two folders deep; links to parents end here too.
        if entry.is_dir() && depth < 3 {
            collect(&entry, depth + 1, files)?;
        } else if entry.is_file() && entry.extension().is_some_and(|e| e == "safetensors") {
            files.push(entry);
        }
    }
    Ok(())
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
    let mut matrix = match (reader, info.shape.as_slice()) {
        (Some(reader), [rows, rest @ ..]) if !rest.is_empty() => {
            let columns: usize = rest.iter().product();
            let large = *rows > 0 && columns > 0 && (*rows).max(columns) >= LEAST_BITS;
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
    let size = reader.map_or(2, SignReader::size) as u64;
    let long = bytes / size >= LEAST_SEQUENCE;
    let mut sequences: Vec<Sequence> = if long {
        ways.iter().map(|&(size, skip)| Sequence::new(size, skip, bytes, salt)).collect()
    } else {
        Vec::new()
    };
    if matrix.is_none() && sequences.is_empty() {
        return Ok(None);
    }
    let step = matrix.as_ref().map_or(CHUNK, |(_, rows, row)| (CHUNK / row).clamp(1, *rows) * row);
    let mut buffer = vec![0; step];
    let mut at = start;
    while at < end {
        let n = buffer.len().min((end - at) as usize);
        read_at(file, &mut buffer[..n], at)
            .map_err(|source| CopiesError::Read { path: path.to_owned(), source })?;
        if let Some((sketcher, _, row)) = &mut matrix {
            buffer[..n].chunks_exact(*row).for_each(|r| sketcher.push(r));
        }
        sequences.iter_mut().for_each(|sequence| sequence.push(&buffer[..n]));
        at += n as u64;
    }
    let mut lines: Vec<Vec<Line>> = matrix.into_iter().flat_map(|(sketcher, ..)| sketcher.finish()).collect();
    lines.extend(sequences.into_iter().map(Sequence::finish));
    Ok(Some(TensorSketch { name: name.to_owned(), elements: bytes / size, lines }))
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}
