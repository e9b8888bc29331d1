//! CLIP's tokenizer: lower-cased byte-pair encoding between start and end tokens, padded to a fixed length.
use crate::error::{Error, Result};
use crate::json::{read_json, read_whole};
use crate::tokenizer_file::{products, read_tokenizer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
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

/// A text longer than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Its tokens, start and end included.
    pub tokens: usize,
    /// How many of them are read.
    pub read: usize,
}

/// As a warning says it.
impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "has {} tokens, of which the text encoders read {}", self.tokens, self.read)
    }
}

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
            read_tokenizer(&dir.join("tokenizer.json"))?
        } else if dir.join("vocab.json").is_file() && dir.join("merges.txt").is_file() {
            from_vocabulary(read_json(&dir.join("vocab.json"))?, &read_whole(&dir.join("merges.txt"))?)
                .map_err(|e| fail(format!("vocab.json, merges.txt: {e}")))?
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

    /// The highest id that a word can have.
    pub(super) fn most(&self) -> u32 {
        self.inner.get_vocab(true).into_values().max().unwrap_or(0)
    }

    /// Its folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What of `text` is not read.
    pub fn cut(&self, text: &str) -> Result<Option<Cut>> {
        let tokens = self.words(text)?.len() + 2;
        Ok((tokens > self.length).then_some(Cut { tokens, read: self.length }))
    }

    fn words(&self, text: &str) -> Result<Vec<u32>> {
        let words = self.inner.encode(text, false);
        let fail = |message: String| Error::Tokenizer { path: self.dir.clone(), message };
        Ok(words.map_err(|e| fail(e.to_string()))?.get_ids().to_vec())
    }

    /// Token ids of `text`: start, words, end, padding; words beyond the length are cut, the end token stays.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let words = self.words(text)?;
        let room = self.length - 2;
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.start);
        ids.extend(words.iter().take(room));
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        Ok(ids)
    }
}

/// A special token is written as a string or as an object with `content`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

/// The pipeline that transformers builds around CLIP's vocabulary and merges.
fn from_vocabulary(vocabulary: BTreeMap<String, u32>, merges: &str) -> tokenizers::Result<Tokenizer> {
    let pairs = merges.lines().filter(|line| !line.starts_with("#version")).map(|line| {
        let pair = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
        pair.map(|(first, second)| (first.to_string(), second.to_string())).ok_or_else(|| {
            format!("merges.txt: expected two parts with a blank between them, found {line:?}")
        })
    });
    let pairs = pairs.collect::<Result<Merges, String>>()?;
    let merges = pairs.iter().map(|(first, second)| (first.as_str(), second.as_str()));
    products(merges, "", |token| vocabulary.contains_key(token))?;
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary.into_iter().collect::<Vocab>(), pairs)
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
