//! Embeds pictures and prompts with any CLIP in the transformers layout.

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::{Digest, DigestBuilder};
use rayon::prelude::*;

use super::model::Clip;
use super::preprocess::Preprocess;
use crate::error::{QualityError, Result};
use crate::picture::Picture;

/// A CLIP with its preprocessing.
pub struct ClipScorer {
    dir: PathBuf,
    model: Clip,
    preprocess: Preprocess,
}

impl ClipScorer {
    /// Pictures or prompts that go through the model together.
    pub const BATCH: usize = 16;

    /// Reads a folder as transformers writes it, for computation in f32 on the CPU.
    ///
    /// # Errors
    /// When a file is missing or does not fit; the message names it.
    pub fn load(dir: &Path) -> Result<Self> {
        let model = Clip::load(dir).map_err(clip_error)?;
        let preprocess = Preprocess::read(&dir.join("preprocessor_config.json"))?;
        Ok(Self { dir: dir.to_owned(), model, preprocess })
    }

    /// Digest of all regular files of the folder, by name: which CLIP judged.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(&self) -> Result<Digest> {
        folder_digest(&self.dir)
    }

    /// One vector of length 1 for each picture, in order. A picture's vector does not depend on the
    /// thread count.
    ///
    /// # Errors
    /// When the preprocessing does not yield the model's size.
    pub fn embed_pictures(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>> {
        let side = self.model.side() as u32;
        let mut out = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(Self::BATCH) {
            let pixels =
                batch.par_iter().map(|p| self.preprocess.apply(p, side)).collect::<Result<Vec<_>>>()?;
            out.extend(self.model.embed_pixels(&pixels).map_err(clip_error)?);
        }
        Ok(out)
    }

    /// One vector of length 1 for each prompt, in order.
    ///
    /// # Errors
    /// When the tokenizer does not belong to the model.
    pub fn embed_prompts(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut out = Vec::with_capacity(prompts.len());
        for batch in prompts.chunks(Self::BATCH) {
            out.extend(self.model.embed_texts(batch).map_err(clip_error)?);
        }
        Ok(out)
    }
}

fn clip_error(e: edgemaxx_candle::Error) -> QualityError {
    QualityError::Clip(e.to_string())
}

/// Digest of the names and contents of a folder's regular files.
fn folder_digest(dir: &Path) -> Result<Digest> {
    let fail = |path: &Path, source| QualityError::Read { path: path.to_owned(), source };
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| fail(dir, e))?;
    files.retain(|p| p.is_file());
    files.sort();
    let mut digest = DigestBuilder::default();
    for path in files {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
        let mut file = std::fs::File::open(&path).map_err(|e| fail(&path, e))?;
        let size = file.metadata().map_err(|e| fail(&path, e))?.len();
        digest.update(&(name.len() as u64).to_le_bytes());
        digest.update(&name);
        digest.update(&size.to_le_bytes());
        let mut buffer = vec![0; 1 << 20];
        loop {
            match std::io::Read::read(&mut file, &mut buffer).map_err(|e| fail(&path, e))? {
                0 => break,
                n => digest.update(&buffer[..n]),
            }
        }
    }
    Ok(digest.finish())
}
