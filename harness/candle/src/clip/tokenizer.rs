//! CLIP's tokenizer: lower-cased byte-pair encoding between start and end tokens, padded to a fixed length.
use crate::error::{Error, Result, read_json};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// How CLIP cuts text into words before pairing bytes (transformers, `CLIPTokenizer`).
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Turns text into token ids of a fixed length.
pub struct ClipTokenizer {
    inner: Tokenizer,
    dir: PathBuf,
    start: u32,
    end: u32,
    pad: u32,
    length: usize,
}

impl ClipTokenizer {
    /// Reads a tokenizer folder: `tokenizer.json`, or `vocab.json` with `merges.txt`; special tokens from
    /// `tokenizer_config.json`, else `special_tokens_map.json`, else CLIP's defaults.
    pub fn load(dir: &Path) -> Result<Self> {
        let fail = |message: String| Error::Tokenizer { path: dir.to_path_buf(), message };
        let mut inner = if dir.join("tokenizer.json").is_file() {
            from_description(&dir.join("tokenizer.json")).map_err(|e| fail(format!("tokenizer.json: {e}")))?
        } else if dir.join("vocab.json").is_file() && dir.join("merges.txt").is_file() {
            from_vocabulary(dir).map_err(|e| fail(format!("vocab.json, merges.txt: {e}")))?
        } else {
            return Err(fail("expected tokenizer.json, or vocab.json and merges.txt".to_string()));
        };
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        let optional = |name: &str| -> Result<Value> {
            let path = dir.join(name);
            if path.is_file() { read_json(&path) } else { Ok(Value::Null) }
        };
        let (config, map) = (optional("tokenizer_config.json")?, optional("special_tokens_map.json")?);
        let mut special = |key: &str, default: &str| -> Result<u32> {
            let text = [&config, &map].iter().find_map(|v| token_text(&v[key])).unwrap_or(default);
            let id = inner
                .token_to_id(text)
                .ok_or_else(|| fail(format!("{key} `{text}` is not in the vocabulary")))?;
            // as in transformers, a special token written in the prompt stands for itself
            inner
                .add_special_tokens([AddedToken::from(text, true).normalized(false)])
                .map_err(|e| fail(e.to_string()))?;
            Ok(id)
        };
        let (start, end, pad) =
            (special("bos_token", START)?, special("eos_token", END)?, special("pad_token", END)?);
        // transformers writes 1e30 where no limit was given
        let length =
            config["model_max_length"].as_f64().filter(|&n| n >= 2.0).map_or(77, |n| n.min(77.0) as usize);
        Ok(Self { inner, dir: dir.to_path_buf(), start, end, pad, length })
    }

    /// Tokens per sequence, start, end and padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Token ids of `text`: start, words, end, padding; words beyond the length are cut, the end token stays.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let words = self
            .inner
            .encode(text, false)
            .map_err(|e| Error::Tokenizer { path: self.dir.clone(), message: e.to_string() })?;
        let room = self.length - 2;
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.start);
        ids.extend(words.get_ids().iter().take(room));
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        Ok(ids)
    }
}

/// A special token is written as a string or as an object with `content`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

/// `Tokenizer::from_file` is generic and would compile the reader of every kind of tokenizer into this
/// crate; the parser is not.
fn from_description(path: &Path) -> tokenizers::Result<Tokenizer> {
    std::fs::read_to_string(path)?.parse()
}

/// The pipeline that transformers builds around CLIP's vocabulary and merges.
fn from_vocabulary(dir: &Path) -> tokenizers::Result<Tokenizer> {
    let (vocab, merges) = (dir.join("vocab.json"), dir.join("merges.txt"));
    let bpe = BPE::from_file(&vocab.to_string_lossy(), &merges.to_string_lossy())
        .unk_token(END.to_string())
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".to_string())
        .build()?;
    let mut t = Tokenizer::new(bpe);
    let spaces =
        Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".to_string()), " ")?;
    t.with_normalizer(Some(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()])))?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_string()), SplitDelimiterBehavior::Removed, true)?;
    t.with_pre_tokenizer(Some(PreTokenizers::new(vec![
        words.into(),
        ByteLevel::new(false, true, true).into(),
    ])));
    Ok(t)
}
