//! A loaded model of candle-transformers' with the text that it has read so far.
use super::config::{Layout, TransformersConfig};
use super::family::Family;
use crate::error::{Error, Result};
use crate::llama::{Wanted, check_ids};
use crate::threads;
use crate::weights::Weights;
use candle_core::quantized::gguf_file::Content;
use candle_core::{D, DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use candle_transformers::models::{gemma, gemma2, mistral, phi3, quantized_llama, qwen2, qwen3};
use serde_json::{Map, Value};
use std::path::Path;

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct TransformersOptions {
    /// Threads, `None` for as many as there are cores.
    pub threads: Option<usize>,
    /// Tokens of the longest text, `None` for as many as the model has positions, but at most 4096.
    pub context: Option<usize>,
}

/// Positions unless asked otherwise.
const CONTEXT: usize = 4096;

enum Model {
    Qwen2(qwen2::ModelForCausalLM),
    Qwen3(qwen3::ModelForCausalLM),
    Phi3(phi3::Model),
    Gemma(gemma::Model),
    Gemma2(gemma2::Model),
    Mistral(mistral::Model),
    GgufLlama(quantized_llama::ModelWeights),
}

/// A model of candle-transformers' on the CPU; its logits are f32, computed in f32.
pub struct Transformers {
    config: TransformersConfig,
    model: Model,
    threads: rayon::ThreadPool,
    capacity: usize,
    position: usize,
    logits: Vec<f32>,
}

impl Transformers {
    /// Loads a folder in transformers' layout (`config.json`, `model.safetensors`) or a GGUF file.
    ///
    /// # Errors
    /// Every way in which the files may be unfit, naming file and field or tensor.
    pub fn open(path: &Path, options: &TransformersOptions) -> Result<Self> {
        let config = TransformersConfig::read(path)?;
        let threads = threads::pool(options.threads)?;
        let capacity = options.context.unwrap_or(CONTEXT.min(config.positions));
        if capacity == 0 || capacity > config.positions {
            let expected = format!("1 to the {} positions that are computed rightly", config.positions);
            return Err(Error::Request { field: "context", found: capacity.to_string(), expected });
        }
        let model = threads.install(|| match &config.layout {
            Layout::Folder(family, words) => of_folder(path, weights(path)?, *family, words, capacity),
            Layout::Gguf => of_gguf(path),
        })?;
        Ok(Self { config, model, threads, capacity, position: 0, logits: Vec::new() })
    }

    /// The configuration of a checkpoint whose files are what it calls for, as far as that is known without reading a
    /// weight: the model is made, of tensors that have the right shapes and hold nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn look(path: &Path) -> Result<TransformersConfig> {
        let config = TransformersConfig::read(path)?;
        match &config.layout {
            Layout::Folder(family, words) => {
                of_folder(path, weights(path)?.unread(), *family, words, 1).map(drop)?;
            }
            // Its tensors were looked at for what it says of itself.
            Layout::Gguf => {}
        }
        Ok(config)
    }

    /// The configuration.
    pub fn config(&self) -> &TransformersConfig {
        &self.config
    }

    /// Tokens of the longest text.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Reads a text from its beginning; logits of the token that follows.
    ///
    /// # Errors
    /// [`Error::Request`] for no tokens, unknown ones or too many; [`Error::NoLogits`].
    pub fn prefill(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.model.clear();
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

    /// Makes an answer, a token at a time; `each` is given it as soon as it is known, and says whether to go on. Nothing is
    /// guessed ahead.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn generate(&mut self, wanted: Wanted<'_>, each: &mut dyn FnMut(&[u32]) -> bool) -> Result<()> {
        let Wanted { prompt, most, ends, mut choice, .. } = wanted;
        let mut room = Vec::new();
        let mut token = choice.of(0, self.prefill(prompt)?, &mut room);
        for made in 1.. {
            if !each(&[token]) || made >= most || ends.contains(&token) {
                return Ok(());
            }
            token = choice.of(made, self.decode(token)?, &mut room);
        }
        Ok(())
    }

    /// Reads a prompt and, whatever the model would have said, an answer, a token at a time; `each` is given the number of
    /// every token of the answer, and the logits from which it would have been chosen.
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
        each(0, self.prefill(prompt)?);
        for (at, id) in answer.iter().enumerate().take(answer.len() - 1) {
            each(at + 1, self.decode(*id)?);
        }
        Ok(())
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        check_ids(ids, self.capacity - self.position, self.config.vocabulary)
    }

    fn extend(&mut self, ids: &[u32]) -> Result<&[f32]> {
        self.check(ids)?;
        let Self { model, threads, position, .. } = self;
        let logits = threads.install(|| -> candle_core::Result<Vec<f32>> {
            let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
            let logits = model.forward(&ids, *position)?;
            let vocabulary = logits.dim(D::Minus1)?;
            logits.reshape(((), vocabulary))?.get(0)?.to_dtype(DType::F32)?.to_vec1()
        })?;
        self.position += ids.len();
        self.logits = logits;
        if self.logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::NoLogits { position: self.position });
        }
        Ok(&self.logits)
    }
}

impl Model {
    fn forward(&mut self, ids: &Tensor, position: usize) -> candle_core::Result<Tensor> {
        match self {
            Self::Qwen2(model) => model.forward(ids, position),
            Self::Qwen3(model) => model.forward(ids, position),
            Self::Phi3(model) => model.forward(ids, position),
            Self::Gemma(model) => model.forward(ids, position),
            Self::Gemma2(model) => model.forward(ids, position),
            Self::Mistral(model) => model.forward(ids, position),
            Self::GgufLlama(model) => model.forward(ids, position),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Qwen2(model) => model.clear_kv_cache(),
            Self::Qwen3(model) => model.clear_kv_cache(),
            Self::Phi3(model) => model.clear_kv_cache(),
            Self::Gemma(model) => model.clear_kv_cache(),
            Self::Gemma2(model) => model.clear_kv_cache(),
            Self::Mistral(model) => model.clear_kv_cache(),
            Self::GgufLlama(model) => model.clear_kv_cache(),
        }
    }
}

fn of_folder(
    path: &Path,
    weights: Weights,
    family: Family,
    words: &Map<String, Value>,
    positions: usize,
) -> Result<Model> {
    // Tables are as long as what is asked for, however far the file says that positions go.
    let mut words = words.clone();
    words.insert("max_position_embeddings".to_owned(), positions.into());
    let tied = words.get("tie_word_embeddings") == Some(&Value::Bool(true));
    let files = Box::new(Files { weights, tied });
    let builder = VarBuilder::from_backend(files, DType::F32, Device::Cpu);
    let bad = |error: candle_core::Error| Error::Config {
        path: path.to_path_buf(),
        field: "the weights".to_owned(),
        found: error.to_string(),
        expected: "those that config.json calls for".to_owned(),
    };
    let words = Value::Object(words);
    let file = path.join("config.json");
    Ok(match family {
        Family::Qwen2 => {
            Model::Qwen2(qwen2::ModelForCausalLM::new(&config(&file, words)?, builder).map_err(bad)?)
        }
        Family::Qwen3 => {
            Model::Qwen3(qwen3::ModelForCausalLM::new(&config(&file, words)?, builder).map_err(bad)?)
        }
        Family::Phi3 => Model::Phi3(phi3::Model::new(&config(&file, words)?, builder).map_err(bad)?),
        Family::Gemma => {
            Model::Gemma(gemma::Model::new(false, &config(&file, words)?, builder).map_err(bad)?)
        }
        Family::Gemma2 => {
            Model::Gemma2(gemma2::Model::new(false, &config(&file, words)?, builder).map_err(bad)?)
        }
        Family::Mistral => Model::Mistral(mistral::Model::new(&config(&file, words)?, builder).map_err(bad)?),
    })
}

fn weights(folder: &Path) -> Result<Weights> {
    Weights::open_dir(folder, "model", DType::F32, &Device::Cpu)
}

/// A folder's tensors as candle-transformers asks for them.
struct Files {
    weights: Weights,
    /// Whether the embeddings serve as the head too, which not all of its models know.
    tied: bool,
}

const HEAD: &str = "lm_head.weight";
const EMBEDDINGS: &str = "model.embed_tokens.weight";

impl Files {
    fn stored<'a>(&self, name: &'a str) -> &'a str {
        if self.tied && name == HEAD { EMBEDDINGS } else { name }
    }
}

/// An error in candle's words, without the place in the program that its own have.
fn told(error: Error) -> candle_core::Error {
    candle_core::Error::Msg(error.to_string())
}

impl SimpleBackend for Files {
    fn get(&self, shape: Shape, name: &str, _: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        self.weights.get(shape.dims(), self.stored(name)).map_err(told)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let shape = self.weights.info(self.stored(name)).map_or(vec![], |(_, shape)| shape.to_vec());
        self.weights.get(&shape, self.stored(name)).map_err(told)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        // Who finds no head takes the embeddings, which is right where they are tied, and only there.
        if name == HEAD { !self.tied } else { self.weights.contains(name) }
    }
}

/// A configuration in the words of one of candle-transformers' models.
fn config<T: serde::de::DeserializeOwned>(path: &Path, words: Value) -> Result<T> {
    serde_json::from_value(words)
        .map_err(|error| Error::Json { path: path.to_path_buf(), message: error.to_string() })
}

fn of_gguf(path: &Path) -> Result<Model> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let damaged = |error: candle_core::Error| Error::DamagedGguf {
        path: path.to_path_buf(),
        message: error.to_string(),
    };
    let content = Content::read(&mut file).map_err(damaged)?;
    let weights = quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu);
    Ok(Model::GgufLlama(weights.map_err(damaged)?))
}
