//! Text to token ids and back: `tokenizer.json`, or the vocabulary of a GGUF file.
use super::config::LlamaConfig;
use crate::error::{Error, Result};
use crate::gguf::{Gguf, Value};
use crate::tokenizer_file::{products, read_tokenizer};
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

/// How Llama 3 cuts text into words before pairing bytes.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Kinds of entries, as GGUF numbers them: those that stand for themselves in a text.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// A language model's tokenizer.
pub struct LlamaTokenizer {
    inner: Tokenizer,
    path: PathBuf,
    begin: Option<u32>,
    /// The largest token that a text may have.
    pub largest: u32,
}

impl LlamaTokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where it cannot be read or has more entries than the model.
    pub fn read(path: &Path, vocabulary: usize) -> Result<Self> {
        let mut inner = read_tokenizer(path)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| fail(path, e))?;
        Self::checked(inner, path, vocabulary, None)
    }

    /// Builds the tokenizer that a GGUF file's metadata describes.
    ///
    /// # Errors
    /// [`Error::Config`] for one that is not byte-level pairing (`gpt2`) or cuts words in a way that is not known here.
    pub fn from_gguf(gguf: &Gguf, config: &LlamaConfig) -> Result<Self> {
        let path = gguf.path();
        let text = |key: &str| gguf.value(key).and_then(Value::text).unwrap_or("nothing");
        let refuse =
            |key: &str, expected: &str| Err(Error::config(path, key, format!("`{}`", text(key)), expected));
        let list = |key: &str| -> Result<&[Value]> {
            let found = gguf.value(key).and_then(Value::list);
            found.ok_or_else(|| Error::config(path, key, "nothing", "a list"))
        };
        if text("tokenizer.ggml.model") != "gpt2" {
            return refuse("tokenizer.ggml.model", "`gpt2`, byte-level pairing");
        }
        let mut ignore_merges = false;
        let byte_level = |words: bool| PreTokenizerWrapper::from(ByteLevel::new(false, true, words));
        let cut: Vec<PreTokenizerWrapper> = match text("tokenizer.ggml.pre") {
            "gpt-2" | "default" | "nothing" => vec![byte_level(true)],
            "smollm" => vec![Digits::new(true).into(), byte_level(true)],
            "llama-bpe" | "llama3" | "llama-v3" => {
                ignore_merges = true;
                let pattern = SplitPattern::Regex(LLAMA_3.to_owned());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
                vec![split.map_err(|e| fail(path, e))?.into(), byte_level(false)]
            }
            _ => return refuse("tokenizer.ggml.pre", "`gpt-2`, `default`, `smollm` or `llama-bpe`"),
        };
        let mut vocabulary = Vocab::default();
        let mut special = vec![];
        let kinds = gguf.value("tokenizer.ggml.token_type").and_then(Value::list).unwrap_or(&[]);
        for (id, token) in list("tokenizer.ggml.tokens")?.iter().enumerate() {
            let Some(token) = token.text() else {
                return Err(Error::config(path, "tokenizer.ggml.tokens", "no text", "texts"));
            };
            vocabulary.insert(token.into(), id as u32);
            match kinds.get(id).and_then(Value::unsigned) {
                Some(CONTROL) => special.push(AddedToken::from(token, true).normalized(false)),
                Some(USER_DEFINED) => special.push(AddedToken::from(token, false).normalized(false)),
                _ => {}
            }
        }
        let mut merges: Merges = vec![];
        for merge in list("tokenizer.ggml.merges")? {
            let Some((a, b)) = merge.text().and_then(|m| m.split_once(' ')) else {
                return Err(Error::config(path, "tokenizer.ggml.merges", "no pair", "pairs of texts"));
            };
            merges.push((a.into(), b.into()));
        }
        let pairs = merges.iter().map(|(first, second)| (first.as_str(), second.as_str()));
        products(pairs, "", |token| vocabulary.contains_key(token)).map_err(|e| fail(path, e.into()))?;
        let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(ignore_merges).build();
        let mut inner = Tokenizer::new(bpe.map_err(|e| fail(path, e))?);
        inner.with_pre_tokenizer(Some(Sequence::new(cut)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        inner.add_tokens(special).map_err(|e| fail(path, e))?;
        let begins = gguf.value("tokenizer.ggml.add_bos_token").and_then(Value::bool).unwrap_or(false);
        Self::checked(inner, path, config.vocabulary, config.begin.filter(|_| begins))
    }

    fn checked(inner: Tokenizer, path: &Path, vocabulary: usize, begin: Option<u32>) -> Result<Self> {
        // Added tokens need not follow the others, and those around a text need not be among any.
        let around = inner.encode("", true).map_err(|e| fail(path, e))?;
        let all = inner.get_vocab(true).into_values().chain(around.get_ids().iter().copied());
        let largest = all.max().unwrap_or(0);
        if largest as usize >= vocabulary {
            return Err(fail(path, format!("token {largest}, but the model has {vocabulary}").into()));
        }
        Ok(Self { inner, path: path.to_path_buf(), begin, largest })
    }

    /// Token ids of a text; special tokens written in it stand for themselves.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, true).map_err(|e| fail(&self.path, e))?;
        Ok(self.begin.iter().chain(encoding.get_ids()).copied().collect())
    }

    /// The text of token ids, special tokens included.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| fail(&self.path, e))
    }
}

fn fail(path: &Path, error: tokenizers::Error) -> Error {
    Error::Tokenizer { path: path.to_path_buf(), message: error.to_string() }
}
