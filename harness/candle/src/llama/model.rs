//! A loaded model with the text that it has read so far.
use super::cache::{Cache, Sizes};
use super::config::LlamaConfig;
use super::forward::{Buffers, Net, Own, Pass, Want};
use super::metadata;
use super::options::LlamaOptions;
use super::tokenizer::LlamaTokenizer;
use super::weights::{Folder, LLAMA_CPP, TRANSFORMERS, divided, load, stored};
use crate::Accelerator;
use crate::cpu::{Isa, Team};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::threads;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Tokens that are read in one pass.
const CHUNK: usize = 256;
/// Logits that are kept at once: 64 MiB.
const LOGITS: usize = 1 << 24;

/// A model of LLaMA's layout on the CPU.
pub struct Llama {
    net: Net,
    tokenizer: Result<LlamaTokenizer, String>,
    path: PathBuf,
    team: Team,
    isa: Isa,
    cache: Cache,
    buffers: Buffers,
    own: Vec<Mutex<Own>>,
    position: usize,
}

/// Refuses no tokens, more than there is room for, and those that the vocabulary has not.
pub(crate) fn check_ids(ids: &[u32], room: usize, vocabulary: usize) -> Result<()> {
    let fail = |found: String, expected: String| Err(Error::Request { field: "ids", found, expected });
    if ids.is_empty() || ids.len() > room {
        return fail(format!("{} tokens", ids.len()), format!("1 to {room}, the room that is left"));
    }
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(id) => fail(format!("token {id}"), format!("tokens below the vocabulary's {vocabulary}")),
        None => Ok(()),
    }
}

impl Llama {
    /// Loads a folder in transformers' layout (`config.json`, `model.safetensors`, `tokenizer.json` if there) or a GGUF file.
    ///
    /// # Errors
    /// Every way in which the files may be unfit, naming file and field or tensor.
    pub fn open(path: &Path, options: &LlamaOptions) -> Result<Self> {
        let count = threads::count(options.threads);
        let team = Team::new(count).map_err(|error| threads::refused(count, error))?;
        let (mut net, tokenizer) = if path.is_dir() {
            let config = LlamaConfig::read(&path.join("config.json"))?;
            let file = path.join("tokenizer.json");
            let tokenizer = LlamaTokenizer::read(&file, config.vocabulary);
            let folder = Folder::open(path)?;
            options.fit(Accelerator::Cpu, &config, stored(&folder, &TRANSFORMERS))?;
            (load(&folder, &TRANSFORMERS, config, options.weights)?, tokenizer)
        } else {
            let gguf = Gguf::open(path)?;
            let config = metadata::config(&gguf)?;
            let tokenizer = LlamaTokenizer::from_gguf(&gguf, &config);
            options.fit(Accelerator::Cpu, &config, stored(&gguf, &LLAMA_CPP))?;
            let mut net = load(&gguf, &LLAMA_CPP, config, options.weights)?;
            divided(&mut net.rope, &gguf, net.config.head_width)?;
            (net, tokenizer)
        };
        if let Some(factor) = options.rope_factor {
            let half = net.config.head_width / 2;
            net.rope.divide(&vec![factor as f32; half]);
        }
        let c = &net.config;
        let capacity = options.capacity(c)?;
        let sizes = Sizes { layers: c.layers, kv_heads: c.kv_heads, head_width: c.head_width, capacity };
        let cache = Cache::new(sizes, options.rounding()).map_err(Error::io(path))?;
        let own = (0..team.count()).map(|_| Mutex::default()).collect();
        let buffers = Buffers::default();
        let (tokenizer, path) = (tokenizer.map_err(|e| e.to_string()), path.to_path_buf());
        Ok(Self { path, net, tokenizer, team, isa: Isa::best(), cache, buffers, own, position: 0 })
    }

    /// The configuration.
    pub fn config(&self) -> &LlamaConfig {
        &self.net.config
    }

    /// The tokenizer; whoever speaks token ids alone needs none.
    ///
    /// # Errors
    /// Why there is none: the files have none, or one that cannot be read here.
    pub fn tokenizer(&self) -> Result<&LlamaTokenizer> {
        self.tokenizer
            .as_ref()
            .map_err(|message| Error::Tokenizer { path: self.path.clone(), message: message.clone() })
    }

    /// Tokens read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Tokens of the longest text.
    pub fn capacity(&self) -> usize {
        self.cache.sizes().capacity
    }

    /// Bytes of the matrices that are read for every token.
    pub fn bytes_per_token(&self) -> usize {
        let n = &self.net;
        let layers = n.layers.iter().flat_map(|l| {
            [&l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down].map(|m| m.bytes())
        });
        layers.sum::<usize>() + n.head.as_ref().unwrap_or(&n.embedding).bytes()
    }

    /// Forgets what was read after the first `position` tokens.
    ///
    /// # Errors
    /// [`Error::Request`] where fewer were read.
    pub fn rewind(&mut self, position: usize) -> Result<()> {
        if position > self.position {
            let expected = format!("0 to {}, the tokens read", self.position);
            return Err(Error::Request { field: "position", found: position.to_string(), expected });
        }
        self.position = position;
        Ok(())
    }

    /// Reads a text from its beginning; logits of the token that follows.
    ///
    /// # Errors
    /// [`Error::Request`] for no tokens, unknown ones or too many; [`Error::NoLogits`].
    pub fn prefill(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.position = 0;
        self.extend(ids)
    }

    /// Reads one more token; logits of the one that follows.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn decode(&mut self, id: u32) -> Result<&[f32]> {
        self.extend(&[id])
    }

    /// Reads more tokens; logits of the one that follows the last.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn extend(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.check(ids)?;
        let (chunks, last) = ids.split_at((ids.len() - 1) / CHUNK * CHUNK);
        for chunk in chunks.chunks(CHUNK) {
            self.pass(chunk, Want::Nothing)?;
        }
        self.pass(last, Want::Last)?;
        Ok(&self.buffers.logits)
    }

    /// Reads more tokens; `each` is given the number of every one of them, and the logits of the token that follows it.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn extend_all(&mut self, ids: &[u32], each: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        self.check(ids)?;
        let vocabulary = self.net.config.vocabulary;
        let rows = (LOGITS / vocabulary).clamp(1, CHUNK);
        for (c, chunk) in ids.chunks(rows).enumerate() {
            self.pass(chunk, Want::All)?;
            for (i, logits) in self.buffers.logits.chunks_exact(vocabulary).enumerate() {
                each(c * rows + i, logits);
            }
        }
        Ok(())
    }

    /// Reads a prompt and, whatever the model would have said, an answer; `each` is given the number of every token of the
    /// answer, and the logits from which it would have been chosen: bit for bit those that decoding it would have seen.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn score(
        &mut self,
        prompt: &[u32],
        answer: &[u32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        self.position = 0;
        self.check(answer)?;
        let logits = self.extend(prompt)?;
        each(0, logits);
        match answer.split_last() {
            Some((_, read)) if !read.is_empty() => {
                self.extend_all(read, &mut |i, logits| each(i + 1, logits))
            }
            _ => Ok(()),
        }
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        check_ids(ids, self.capacity() - self.position, self.net.config.vocabulary)
    }

    fn pass(&mut self, ids: &[u32], want: Want) -> Result<()> {
        let logits = match want {
            Want::Nothing => 0,
            Want::Last => 1,
            Want::All => ids.len(),
        };
        let Self { net, team, isa, cache, buffers, own, position, .. } = self;
        buffers.resize(&net.config, ids.len(), logits);
        let (shares, cache) = (buffers.share(), cache.share());
        team.run(&|member| {
            let mut own = own[member.index()].lock().unwrap_or_else(|e| e.into_inner());
            let (net, isa, start, buffers) = (&*net, *isa, *position, &shares);
            Pass { net, isa, member, buffers, cache, ids, start, want }.run(&mut own);
        });
        self.position += ids.len();
        if self.buffers.logits.iter().any(|l| !l.is_finite()) {
            return Err(Error::NoLogits { position: self.position });
        }
        Ok(())
    }
}
