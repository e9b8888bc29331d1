//! What a checkpoint's tokenizer is, without its weights.
use super::config::LlamaConfig;
use super::metadata;
use super::tokenizer::LlamaTokenizer;
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::transformers::TransformersConfig;
use crate::weights::Weights;
use candle_core::{DType, Device};
use std::path::{Path, PathBuf};

/// The tokens of a checkpoint.
pub struct Vocabulary {
    /// Text to token ids and back.
    pub tokenizer: LlamaTokenizer,
    /// How many tokens the model knows.
    pub size: u32,
    /// Those that end a text.
    pub ends: Vec<u32>,
}

impl Vocabulary {
    /// Reads the tokenizer of a checkpoint, as [`checkpoint`] finds it.
    ///
    /// # Errors
    /// It has none, or one that cannot be read here.
    pub fn open(path: &Path) -> Result<Self> {
        let path = checkpoint(path)?;
        if !path.is_dir() {
            let gguf = Gguf::open(&path)?;
            let config = metadata::config(&gguf)?;
            let tokenizer = LlamaTokenizer::from_gguf(&gguf, &config)?;
            return Ok(Self { tokenizer, size: config.vocabulary as u32, ends: config.end });
        }
        let (size, ends) = if TransformersConfig::is_its(&path) {
            let config = TransformersConfig::read(&path)?;
            (config.vocabulary, config.end)
        } else {
            let config = LlamaConfig::read(&path.join("config.json"))?;
            (config.vocabulary, config.end)
        };
        let tokenizer = LlamaTokenizer::read(&path.join("tokenizer.json"), size)?;
        Ok(Self { tokenizer, size: size as u32, ends })
    }

    /// What each token of a text adds to it; nothing where it is the beginning of a character that the next one ends.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn pieces(&self, ids: &[u32]) -> Result<Vec<String>> {
        let mut pieces = Vec::with_capacity(ids.len());
        // Decoded behind the token before: some decoders drop a blank at the beginning.
        let (mut from, mut said) = (0, String::new());
        for at in 0..ids.len() {
            let text = self.tokenizer.decode(&ids[from..=at])?;
            if text.ends_with('\u{fffd}') && at - from < 8 {
                pieces.push(String::new());
                continue;
            }
            pieces.push(text.strip_prefix(&said).unwrap_or(&text).to_owned());
            from = at;
            said = self.tokenizer.decode(&ids[at..=at])?;
        }
        Ok(pieces)
    }
}

/// The configuration of a checkpoint whose files are what it calls for, as far as that is known without reading a weight.
///
/// # Errors
/// As [`super::Llama::open`].
pub fn look(path: &Path) -> Result<LlamaConfig> {
    let path = checkpoint(path)?;
    if !path.is_dir() {
        return metadata::config(&Gguf::open(&path)?);
    }
    let config = LlamaConfig::read(&path.join("config.json"))?;
    let weights = Weights::open_dir(&path, "model", DType::F32, &Device::Cpu)?;
    weights.stored(&[config.vocabulary, config.width], "model.embed_tokens.weight")?;
    Ok(config)
}

/// Where a checkpoint's model lies: the folder itself if it is in transformers' layout, else the one GGUF file in it; a
/// file as it is.
///
/// # Errors
/// [`Error::Config`]: it has neither, or several files.
pub fn checkpoint(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() || path.join("config.json").is_file() {
        return Ok(path.to_owned());
    }
    let entries = std::fs::read_dir(path).map_err(Error::io(path))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")));
    match files.as_slice() {
        [file] => Ok(file.clone()),
        several => Err(Error::config(
            path,
            "the folder",
            format!("no config.json and {} GGUF files", several.len()),
            "a config.json beside model.safetensors, or one GGUF file",
        )),
    }
}
