//! A loaded model on the card, and the making of answers.
use super::weights::{Kept, Net, floats, load};
use crate::Accelerator;
use crate::accelerator::explain;
use crate::cuda::{Cuda, Heads, Memory, Norm, Places, Recording, Rows, Steps};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::llama::config::LlamaConfig;
use crate::llama::generate::{Choice, Wanted};
use crate::llama::metadata;
use crate::llama::model::check_ids;
use crate::llama::options::LlamaOptions;
use crate::llama::rope::Rope;
use crate::llama::weights::{Folder, LLAMA_CPP, TRANSFORMERS, divided, stored};
use std::path::Path;

/// Rows of a prompt are padded to a multiple of this: fewer shapes, each of which costs a search the first time.
const PADDED: usize = 64;

/// Memory between the layers.
struct Rooms {
    /// The residual stream of a prompt, and of one token.
    stream: Memory,
    one: Memory,
    qkv: Memory,
    /// In the model's type.
    normed: Memory,
    query: Memory,
    mixed: Memory,
    gate_up: Memory,
    inner: Memory,
    /// Of one token, f32.
    one_qkv: Memory,
    one_mixed: Memory,
    one_inner: Memory,
    logits: Memory,
    tokens: Memory,
    /// A matrix that was quantised.
    widened: Memory,
}

/// Keys and values of a layer.
struct Cache {
    keys: Memory,
    values: Memory,
}

/// A model of LLaMA's layout on an NVIDIA GPU.
pub struct GpuLlama {
    cuda: Cuda,
    config: LlamaConfig,
    heads: Heads,
    net: Net,
    cos: Memory,
    sin: Memory,
    caches: Vec<Cache>,
    rooms: Rooms,
    steps: Steps,
    step: Option<Recording>,
    capacity: usize,
    logits: Vec<f32>,
}

fn said(error: candle_core::Error) -> Error {
    explain(Error::from(error))
}

impl GpuLlama {
    /// Loads a folder in transformers' layout or a GGUF file to the first card that the process may see.
    ///
    /// # Errors
    /// As [`crate::llama::Llama::open`]; [`Error::Device`] where there is no card, or too little memory on it;
    /// [`Error::Request`] for what is done on the CPU only.
    pub fn open(path: &Path, options: &LlamaOptions) -> Result<Self> {
        let device = Accelerator::Cuda.open()?;
        let Some(cuda) = Cuda::of(&device)? else {
            return Err(Error::Device("no CUDA device was opened".to_owned()));
        };
        if path.is_dir() {
            let config = LlamaConfig::read(&path.join("config.json"))?;
            let source = Folder::open(path)?;
            let kept = Kept::of(options, &config, stored(&source, &TRANSFORMERS))?;
            let net = load(&cuda, &source, &TRANSFORMERS, &config, kept)?;
            let rope = Rope::new(&config);
            return Self::ready(cuda, config, net, rope, kept, options);
        }
        let gguf = Gguf::open(path)?;
        let config = metadata::config(&gguf)?;
        let kept = Kept::of(options, &config, stored(&gguf, &LLAMA_CPP))?;
        let net = load(&cuda, &gguf, &LLAMA_CPP, &config, kept)?;
        let mut rope = Rope::new(&config);
        divided(&mut rope, &gguf, config.head_width)?;
        Self::ready(cuda, config, net, rope, kept, options)
    }

    fn ready(
        cuda: Cuda,
        config: LlamaConfig,
        net: Net,
        mut rope: Rope,
        kept: Kept,
        options: &LlamaOptions,
    ) -> Result<Self> {
        let c = &config;
        let heads = Heads { heads: c.heads, kv_heads: c.kv_heads, width: c.head_width, dtype: kept.dtype };
        let capacity = options.capacity(c)?;
        let half = c.head_width / 2;
        if let Some(factor) = options.rope_factor {
            rope.divide(&vec![factor as f32; half]);
        }
        let (mut cos, mut sin) = (vec![0f32; capacity * half], vec![0f32; capacity * half]);
        for (position, (cos, sin)) in cos.chunks_exact_mut(half).zip(sin.chunks_exact_mut(half)).enumerate() {
            rope.angles(position, cos, sin);
        }
        let (wide, narrow) = (c.heads * c.head_width, c.kv_heads * c.head_width);
        let rows = capacity.next_multiple_of(PADDED);
        let cache = |_| -> Result<Cache> {
            let bytes = rows * narrow * 2;
            Ok(Cache { keys: cuda.zeros(bytes)?, values: cuda.zeros(bytes)? })
        };
        let quantised = net.layers.iter().flat_map(|l| [&l.qkv, &l.output, &l.gate_up, &l.down]);
        let largest = quantised.filter(|m| m.scales.is_some()).map(|m| m.rows * m.inner).max().unwrap_or(0);
        let f32s = |count: usize| cuda.zeros(count * 4).map_err(said);
        let f16s = |count: usize| cuda.zeros(count * 2).map_err(said);
        let rooms = Rooms {
            stream: f32s(rows * c.width)?,
            one: f32s(c.width)?,
            qkv: f32s(rows * (wide + 2 * narrow))?,
            normed: f16s(rows * c.width)?,
            query: f16s(rows * wide)?,
            mixed: f16s(rows * wide)?,
            gate_up: f16s(rows * 2 * c.inner_width)?,
            inner: f16s(rows * c.inner_width)?,
            one_qkv: f32s(wide + 2 * narrow)?,
            one_mixed: f32s(wide)?,
            one_inner: f32s(c.inner_width)?,
            logits: f32s(c.vocabulary)?,
            tokens: f32s(rows)?,
            widened: f16s(largest)?,
        };
        let caches = (0..c.layers).map(cache).collect::<Result<_>>()?;
        let (cos, sin) = (floats(&cuda, &cos)?, floats(&cuda, &sin)?);
        let steps = cuda.steps(heads)?;
        let logits = vec![0.0; c.vocabulary];
        let mut model =
            Self { cuda, config, heads, net, cos, sin, caches, rooms, steps, step: None, capacity, logits };
        model.step = Some(model.cuda.recorded(&mut || model.one()).map_err(said)?);
        // The products of a prompt load their kernels, too.
        model.read(&[0])?;
        model.cuda.wait().map_err(said)?;
        Ok(model)
    }

    /// The configuration.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Tokens of the longest text.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of the matrices that are read for every token.
    pub fn bytes_per_token(&self) -> usize {
        let layers = self.net.layers.iter();
        let layers = layers.flat_map(|l| [&l.qkv, &l.output, &l.gate_up, &l.down]).map(Rows::bytes);
        layers.sum::<usize>() + self.head().bytes()
    }

    fn head(&self) -> &Rows {
        self.net.head.as_ref().unwrap_or(&self.net.embedding)
    }

    fn norm<'a>(&self, weights: &'a Memory) -> Norm<'a> {
        Norm(weights, self.config.epsilon as f32)
    }

    fn places(&self, layer: usize) -> Places<'_> {
        let Cache { keys, values } = &self.caches[layer];
        Places { cos: &self.cos, sin: &self.sin, keys, values }
    }

    /// The layers and the head for the one token that was taken.
    fn one(&self) -> candle_core::Result<()> {
        let (cuda, r, dtype) = (&self.cuda, &self.rooms, self.heads.dtype);
        let x = r.one.at(0);
        for (number, layer) in self.net.layers.iter().enumerate() {
            cuda.times(&layer.qkv, x, self.norm(&layer.attention_norm), r.one_qkv.at(0), dtype)?;
            cuda.attend_one(self.heads, &r.one_qkv, self.places(number), &self.steps, &r.one_mixed)?;
            cuda.add_times(&layer.output, r.one_mixed.at(0), x, dtype)?;
            cuda.gated(&layer.gate_up, x, self.norm(&layer.mlp_norm), r.one_inner.at(0), dtype)?;
            cuda.add_times(&layer.down, r.one_inner.at(0), x, dtype)?;
        }
        self.choose(x)
    }

    fn choose(&self, x: u64) -> candle_core::Result<()> {
        let norm = self.norm(&self.net.norm);
        self.cuda.choose(self.head(), x, norm, &self.rooms.logits, &self.steps, self.heads.dtype)
    }

    /// Reads a text from its beginning; the logits of what follows are on the card then.
    fn read(&mut self, ids: &[u32]) -> Result<()> {
        let vocabulary = self.config.vocabulary;
        if ids.is_empty() || ids.len() > self.capacity {
            let expected = format!("1 to {}, the room there is", self.capacity);
            return Err(Error::Request { field: "ids", found: format!("{} tokens", ids.len()), expected });
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            let expected = format!("tokens below the vocabulary's {vocabulary}");
            return Err(Error::Request { field: "ids", found: format!("token {id}"), expected });
        }
        self.all(ids).map_err(said)
    }

    fn all(&self, ids: &[u32]) -> candle_core::Result<()> {
        let (cuda, c, r, dtype) = (&self.cuda, &self.config, &self.rooms, self.heads.dtype);
        let (count, rows) = (ids.len(), ids.len().next_multiple_of(PADDED));
        cuda.restart(&self.steps)?;
        cuda.write(&r.tokens, ids)?;
        cuda.embed(&self.net.embedding, &r.tokens, count, &r.stream, dtype)?;
        for (number, layer) in self.net.layers.iter().enumerate() {
            let places = self.places(number);
            let product = |w: &Rows, x: &Memory, y: &Memory, wide, added| {
                cuda.rows_times(w, x, y, &r.widened, (rows, wide, added), dtype)
            };
            let norm =
                |weights| cuda.normalised(&r.stream, self.norm(weights), &r.normed, (rows, c.width), dtype);
            norm(&layer.attention_norm)?;
            product(&layer.qkv, &r.normed, &r.qkv, true, false)?;
            cuda.turn(self.heads, &r.qkv, places, &r.query, count)?;
            cuda.attend_causal(self.heads, &r.query, places, &r.mixed, count)?;
            product(&layer.output, &r.mixed, &r.stream, true, true)?;
            norm(&layer.mlp_norm)?;
            product(&layer.gate_up, &r.normed, &r.gate_up, false, false)?;
            cuda.swiglu(&r.gate_up, &r.inner, (rows, c.inner_width), dtype)?;
            product(&layer.down, &r.inner, &r.stream, true, true)?;
        }
        self.choose(r.stream.at((count - 1) * c.width * 4))
    }

    /// The logits of what follows a text.
    ///
    /// # Errors
    /// The text does not fit, or the device fails.
    pub fn prefill(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.read(ids)?;
        self.cuda.read(&self.rooms.logits, &mut self.logits).map_err(said)?;
        Ok(&self.logits)
    }

    /// Whether a prompt fits with so many tokens behind it, of which the last is never read.
    fn check_room(&self, prompt: usize, more: usize) -> Result<()> {
        if prompt + more <= self.capacity + 1 {
            return Ok(());
        }
        let found = format!("{prompt} tokens and {more} more");
        let expected = format!("no more than {} positions", self.capacity);
        Err(Error::Request { field: "ids", found, expected })
    }

    /// Makes an answer; see [`crate::llama::Llama::generate`].
    ///
    /// # Errors
    /// As there, and [`Error::Request`] where tokens are to be guessed ahead.
    pub fn generate(&mut self, wanted: Wanted<'_>, each: &mut dyn FnMut(&[u32]) -> bool) -> Result<()> {
        let Wanted { prompt, most, ends, mut choice, lookup } = wanted;
        if lookup > 0 {
            let expected = "0 on a GPU".to_owned();
            return Err(Error::Request { field: "lookup", found: lookup.to_string(), expected });
        }
        self.check_room(prompt.len(), most)?;
        self.read(prompt)?;
        let mut room = Vec::new();
        for made in 0..most {
            let named = match &choice {
                Choice::Greedy => None,
                Choice::Sampled(..) => {
                    self.cuda.read(&self.rooms.logits, &mut self.logits).map_err(said)?;
                    Some(choice.of(made, &self.logits, &mut room))
                }
            };
            let position = prompt.len() + made;
            let (one, dtype) = (&self.rooms.one, self.heads.dtype);
            let embedding = &self.net.embedding;
            let coming = self.cuda.take(embedding, &mut self.steps, named, position, one, dtype);
            let coming = coming.map_err(said)?;
            // The card goes on while the token is on its way.
            if let Some(step) = self.step.as_ref().filter(|_| made + 1 < most) {
                step.run().map_err(said)?;
            }
            let token = coming.wait().map_err(said)?.ok_or(Error::NoLogits { position })?;
            if !each(&[token]) || ends.contains(&token) {
                break;
            }
        }
        // What was begun for nothing must not run into the next request, nor into the other side's time.
        self.cuda.wait().map_err(said)
    }

    /// Reads a prompt and, whatever the model would have said, an answer, a token at a time as it would be made; `each` is
    /// given the number of every token of the answer, and the logits from which it would have been chosen.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn score(
        &mut self,
        prompt: &[u32],
        answer: &[u32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        self.check_room(prompt.len(), answer.len())?;
        check_ids(answer, answer.len(), self.config.vocabulary)?;
        self.read(prompt)?;
        for (number, token) in answer.iter().enumerate() {
            self.cuda.read(&self.rooms.logits, &mut self.logits).map_err(said)?;
            let position = prompt.len() + number;
            if self.logits.iter().any(|logit| !logit.is_finite()) {
                return Err(Error::NoLogits { position });
            }
            each(number, &self.logits);
            if number + 1 < answer.len() {
                let (one, dtype, embedding) = (&self.rooms.one, self.heads.dtype, &self.net.embedding);
                let coming = self.cuda.take(embedding, &mut self.steps, Some(*token), position, one, dtype);
                let coming = coming.map_err(said)?;
                if let Some(step) = &self.step {
                    step.run().map_err(said)?;
                }
                coming.wait().map_err(said)?;
            }
        }
        self.cuda.wait().map_err(said)
    }
}
