//! What a checkpoint's tokenizer is, without its weights.
use super::config::LlamaConfig;
use super::metadata;
use super::options::LlamaOptions;
use super::tokenizer::LlamaTokenizer;
use super::weights::{Folder, LLAMA_CPP, TRANSFORMERS, factors_fit, fits, sizes, stored};
use crate::Accelerator;
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::json::read_json;
use crate::transformers::TransformersConfig;
use serde_json::Value;
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

    /// What each token of a text adds to it; nothing where it is the beginning of a character that the next one ends. A
    /// character that no token ends is a replacement character of the last one's.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn pieces(&self, ids: &[u32]) -> Result<Vec<String>> {
        let mut pieces = Vec::with_capacity(ids.len());
        // Decoded behind the token before: some decoders drop a blank at the beginning.
        let (mut from, mut said) = (0, String::new());
        for at in 0..ids.len() {
            let text = self.tokenizer.decode(&ids[from..=at])?;
            if text.ends_with('\u{fffd}') && at - from < 8 && at + 1 < ids.len() {
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

/// The configuration of a checkpoint whose files are what it calls for, and which can be loaded on a device with these
/// options, as far as that is known without reading a weight.
///
/// # Errors
/// As [`super::Llama::open`], and as [`super::GpuLlama::open`].
pub fn look(path: &Path, device: Accelerator, options: &LlamaOptions) -> Result<LlamaConfig> {
    let path = checkpoint(path)?;
    if !path.is_dir() {
        let gguf = Gguf::open(&path)?;
        let config = metadata::config(&gguf)?;
        fits(&gguf, &LLAMA_CPP, &sizes(&gguf, &LLAMA_CPP, &config))?;
        factors_fit(&gguf, config.head_width)?;
        options.fit(device, &config, stored(&gguf, &LLAMA_CPP))?;
        return Ok(config);
    }
    let config = LlamaConfig::read(&path.join("config.json"))?;
    let folder = Folder::open(&path)?;
    fits(&folder, &TRANSFORMERS, &sizes(&folder, &TRANSFORMERS, &config))?;
    options.fit(device, &config, stored(&folder, &TRANSFORMERS))?;
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
    match gguf_files(path)?.as_slice() {
        [file] => Ok(file.clone()),
        several => Err(Error::config(
            path,
            "the folder",
            format!("no config.json and {} GGUF files", several.len()),
            "a config.json beside model.safetensors, or one GGUF file",
        )),
    }
}

/// Whether a folder is laid out as a language model's, be it one that can be read here or not: its `config.json` names a
/// `model_type` or has a vocabulary, as transformers writes it, or GGUF files lie in it.
pub fn is_laid_out(folder: &Path) -> bool {
    let config = read_json::<Value>(&folder.join("config.json"));
    config.is_ok_and(|config| ["model_type", "vocab_size"].iter().any(|key| !config[key].is_null()))
        || gguf_files(folder).is_ok_and(|files| !files.is_empty())
}

fn gguf_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tiny model, a text of which is changed.
    fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/stories-llama");
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::copy(model.join(name), folder.path().join(name)).unwrap();
        }
        let text = std::fs::read_to_string(model.join(file)).unwrap();
        assert!(text.contains(from), "{file} holds {from}");
        std::fs::remove_file(folder.path().join(file)).unwrap();
        std::fs::write(folder.path().join(file), text.replacen(from, to, 1)).unwrap();
        folder
    }

    fn looked(path: &Path) -> Result<LlamaConfig> {
        look(path, Accelerator::Cpu, &LlamaOptions::default())
    }

    /// What a model needs and its files lack is found without reading a weight, in whichever layer it is.
    #[test]
    fn files_that_do_not_fit_their_description_are_found_by_looking() {
        for (from, to, words) in [
            ("\"num_hidden_layers\": 7", "\"num_hidden_layers\": 8", "model.layers.7.input_layernorm.weight"),
            (
                "\"num_key_value_heads\": 2",
                "\"num_key_value_heads\": 6",
                "model.layers.0.self_attn.k_proj.weight",
            ),
            ("\"head_dim\": 32", "\"head_dim\": 64", "model.layers.0.self_attn.q_proj.weight"),
            (
                "\"intermediate_size\": 512",
                "\"intermediate_size\": 256",
                "model.layers.0.mlp.gate_proj.weight",
            ),
            ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "lm_head.weight"),
            ("\"vocab_size\": 2048", "\"vocab_size\": 2049", "model.embed_tokens.weight"),
        ] {
            let found = looked(changed("config.json", from, to).path()).expect_err(to).to_string();
            assert!(found.contains(words), "{to}: {found}");
        }
        assert!(
            looked(changed("config.json", "\"num_hidden_layers\": 7", "\"num_hidden_layers\": 6").path())
                .is_ok()
        );
    }

    /// Nor how it is stored: eight bits are nothing without their scales.
    #[test]
    fn a_tensor_that_cannot_be_read_is_found_by_looking() {
        let folder = changed("config.json", "{", "{");
        let file = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let scale = b"model.layers.3.mlp.up_proj.weight.scale";
        let at = bytes.windows(scale.len()).position(|name| name == scale).unwrap();
        bytes[at + scale.len() - 1] = b'x';
        std::fs::write(&file, bytes).unwrap();
        let found = looked(folder.path()).unwrap_err().to_string();
        assert!(found.contains("`model.layers.3.mlp.up_proj.weight.scale` is missing"), "{found}");
    }

    #[test]
    fn a_tokenizer_that_draws_its_words_is_refused() {
        let folder = changed("tokenizer.json", "\"dropout\":null", "\"dropout\":0.5");
        let found = Vocabulary::open(folder.path()).err().unwrap().to_string();
        assert!(found.contains("model.dropout: found 0.5"), "{found}");
        let folder = changed("tokenizer.json", "\"dropout\":null", "\"dropout\":0.0");
        assert!(Vocabulary::open(folder.path()).is_ok());
    }

    /// What is put around a text need not be among the entries.
    #[test]
    fn a_tokenizer_puts_no_tokens_around_a_text_that_the_model_lacks() {
        let around = |id: u32| {
            let special = format!("{{\"<s>\":{{\"id\":\"<s>\",\"ids\":[{id}],\"tokens\":[\"<s>\"]}}}}");
            let (piece, text) = (
                "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}",
                "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}",
            );
            let processor = format!(
                "\"post_processor\":{{\"type\":\"TemplateProcessing\",\"single\":[{piece},{text}],\"pair\":[{piece},{text}],\"special_tokens\":{special}}}"
            );
            let folder = changed("tokenizer.json", "\"post_processor\":null", &processor);
            Vocabulary::open(folder.path()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(around(2047), Ok(()));
        assert!(around(9999).unwrap_err().contains("token 9999, but the model has 2048"));
    }
}
