//! What is known of a checkpoint without its weights: `config.json` in the words that candle-transformers understands, or a GGUF
//! file's metadata.
use super::family::Family;
use crate::error::{Error, Result};
use crate::gguf::check_header;
use crate::json::read_json;
use crate::limits;
use crate::llama::{LLAMA_CPP, Shapes, Sizes, fits, special_tokens, token};
use candle_core::quantized::gguf_file::{Content, Value as GgufValue};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformersConfig {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Positions that are computed rightly.
    pub positions: usize,
    /// Token that begins a text, where the configuration says.
    pub begin: Option<u32>,
    /// Tokens that end an answer.
    pub end: Vec<u32>,
    pub(super) layout: Layout,
}

/// Where the model lies, and what it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Layout {
    /// A folder in transformers' layout, and its configuration in candle-transformers' words.
    Folder(Family, Map<String, Value>),
    /// A GGUF file of a LLaMA.
    Gguf,
}

/// Positions that candle-transformers' LLaMA of GGUF files has, whatever the file says.
const GGUF_LLAMA_POSITIONS: usize = 4096;

impl TransformersConfig {
    /// Whether a folder's `config.json` names one of the layouts that are read from folders.
    pub fn is_its(path: &Path) -> bool {
        let named = |config: Value| config["model_type"].as_str().map(str::to_owned);
        let kind = read_json::<Value>(&path.join("config.json")).ok().and_then(named);
        kind.is_some_and(|kind| Family::ALL.iter().any(|(name, _)| *name == kind))
    }

    /// Reads and checks a folder's `config.json`, or a GGUF file's metadata.
    ///
    /// # Errors
    /// [`Error::Config`] names the field, and what candle-transformers does not compute as transformers does.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() { Self::of_folder(&path.join("config.json")) } else { Self::of_gguf(path) }
    }

    fn of_folder(path: &Path) -> Result<Self> {
        let mut config: Map<String, Value> = read_json(path)?;
        let kind = config.get("model_type").and_then(Value::as_str).unwrap_or("none");
        let Some((_, family)) = Family::ALL.iter().find(|(name, _)| *name == kind) else {
            let names: Vec<&str> = Family::ALL.iter().map(|(name, _)| *name).collect();
            return Err(Error::config(path, "model_type", format!("`{kind}`"), names.join(", ")));
        };
        let mut usual = vec!["bos_token_id", "eos_token_id"];
        usual.retain(|field| !config.contains_key(*field));
        family.filled(&mut config);
        plain_rope(path, &mut config)?;
        if config.get("quantization_config").is_some_and(|of| !of.is_null()) {
            let expected = "none: weights are read as they are stored";
            return Err(Error::config(path, "quantization_config", "one", expected));
        }
        let size = |config: &Map<String, Value>, field: &str, most: usize| -> Result<usize> {
            let found = config.get(field).and_then(Value::as_u64).unwrap_or(0) as usize;
            Error::bound(path, field, found, most).map(|()| found)
        };
        let vocabulary = size(&config, "vocab_size", limits::VOCABULARY)?;
        let mut positions = size(&config, "max_position_embeddings", limits::CONTEXT)?;
        for (field, most) in [
            ("hidden_size", limits::WIDTH),
            ("intermediate_size", limits::INNER_WIDTH),
            ("num_hidden_layers", limits::LAYERS),
            ("num_attention_heads", limits::WIDTH),
            ("num_key_value_heads", limits::WIDTH),
        ] {
            size(&config, field, most)?;
        }
        if config.get("head_dim").is_some_and(|width| !width.is_null()) {
            size(&config, "head_dim", limits::WIDTH)?;
        }
        shared_heads(path, &config)?;
        let windowed = match family {
            Family::Qwen2 | Family::Qwen3 => config.get("use_sliding_window") == Some(&Value::Bool(true)),
            _ => true,
        };
        // Where a token sees only so many before it, more are seen here: within the window it is the same.
        if let (true, Some(window)) = (windowed, config.get("sliding_window").and_then(Value::as_u64)) {
            positions = positions.min(window as usize);
        }
        for field in usual {
            // Which tokens a family usually has decides nothing where the vocabulary is a smaller one.
            if config.get(field).and_then(Value::as_u64).is_some_and(|id| id >= vocabulary as u64) {
                config.remove(field);
            }
        }
        let begin = config.get("bos_token_id").and_then(Value::as_u64);
        let end = match config.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
            Some(Value::Number(id)) => id.as_u64().into_iter().collect(),
            _ => vec![],
        };
        let (begin, end) = special_tokens(path, begin, end, vocabulary)?;
        translated(path, *family, &mut config)?;
        Ok(Self { vocabulary, positions, begin, end, layout: Layout::Folder(*family, config) })
    }

    fn of_gguf(path: &Path) -> Result<Self> {
        check_header(path)?;
        let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
        let damaged = |error: candle_core::Error| Error::DamagedGguf {
            path: path.to_path_buf(),
            message: error.to_string(),
        };
        let content = Content::read(&mut file).map_err(damaged)?;
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok());
        let number = |key: &str| content.metadata.get(key).and_then(whole);
        let kind = text("general.architecture").map_or("none", String::as_str);
        if kind != "llama" {
            return Err(Error::config(path, "general.architecture", format!("`{kind}`"), "`llama`"));
        }
        let scaling = format!("{kind}.rope.scaling.type");
        let scaled = text(&scaling).is_some_and(|how| how != "none");
        if scaled || content.tensor_infos.contains_key("rope_freqs.weight") {
            let found = if scaled { "a scaling of positions" } else { "the tensor rope_freqs.weight" };
            let expected = "none: candle-transformers would compute wrong positions (Llama 3.1 and later scale them); the \
                            built-in engine does not";
            return Err(Error::config(path, &scaling, found, expected));
        }
        let field = format!("{kind}.context_length");
        let positions = number(&field).unwrap_or(0) as usize;
        Error::bound(path, &field, positions, limits::CONTEXT)?;
        let sizes = sizes(path, &content)?;
        let vocabulary = sizes.vocabulary;
        fits(&Header { path, content: &content }, &LLAMA_CPP, &sizes)?;
        let id = |key: &str| number(key).map(|id| token(path, key, id, vocabulary)).transpose();
        Ok(Self {
            vocabulary,
            positions: positions.min(GGUF_LLAMA_POSITIONS),
            begin: id("tokenizer.ggml.bos_token_id")?,
            end: id("tokenizer.ggml.eos_token_id")?.into_iter().collect(),
            layout: Layout::Gguf,
        })
    }
}

/// A GGUF file's sizes, each of the type that candle-transformers reads it as.
fn sizes(path: &Path, content: &Content) -> Result<Sizes> {
    let wrong = |key: &str, expected: &str| {
        let found = content.metadata.get(key).map_or("none".to_owned(), |value| format!("{value:?}"));
        Error::config(path, key, found, expected)
    };
    let number = |key: &str| match content.metadata.get(key).and_then(|value| value.to_u32().ok()) {
        Some(number @ 1..) => Ok(number as usize),
        _ => Err(wrong(key, "a whole number of 32 bits, from 1")),
    };
    let is_float = |key: &str| content.metadata.get(key).map(|value| value.to_f32().is_ok());
    let (epsilon, theta) = ("llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base");
    if is_float(epsilon) != Some(true) {
        return Err(wrong(epsilon, "a number of 32 bits"));
    }
    if is_float(theta) == Some(false) {
        return Err(wrong(theta, "a number of 32 bits, or none: another would be taken for 10000"));
    }
    let (width, layers) = (number("llama.embedding_length")?, number("llama.block_count")?);
    let inner_width = number("llama.feed_forward_length")?;
    let (heads, shared) = (number("llama.attention.head_count")?, number("llama.attention.head_count_kv")?);
    if heads % shared != 0 || width % heads != 0 {
        let expected = "a divisor of embedding_length, and a number of heads that head_count_kv divides";
        return Err(wrong("llama.attention.head_count", expected));
    }
    let head_width = width / heads;
    if number("llama.rope.dimension_count")? != head_width {
        return Err(wrong("llama.rope.dimension_count", &format!("{head_width}, the width of a head")));
    }
    for (key, found, most) in [
        ("llama.embedding_length", width, limits::WIDTH),
        ("llama.feed_forward_length", inner_width, limits::INNER_WIDTH),
        ("llama.block_count", layers, limits::LAYERS),
    ] {
        Error::bound(path, key, found, most)?;
    }
    let table = content.tensor_infos.get(LLAMA_CPP.embedding);
    let vocabulary = table.and_then(|info| info.shape.dims().first().copied()).unwrap_or(0);
    Error::bound(path, LLAMA_CPP.embedding, vocabulary, limits::VOCABULARY)?;
    let tied = !content.tensor_infos.contains_key(LLAMA_CPP.head);
    Ok(Sizes { vocabulary, width, inner_width, wide: width, narrow: shared * head_width, layers, tied })
}

/// What a GGUF file says of its tensors.
struct Header<'a> {
    path: &'a Path,
    content: &'a Content,
}

impl Shapes for Header<'_> {
    fn path(&self) -> &Path {
        self.path
    }

    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn is_shaped(&self, name: &str, shape: &[usize]) -> Result<()> {
        let (path, tensor, expected) = (self.path.to_path_buf(), name.to_owned(), shape.to_vec());
        match self.content.tensor_infos.get(name).map(|info| info.shape.dims().to_vec()) {
            None => Err(Error::MissingTensor { path, tensor, expected }),
            Some(found) if found != shape => Err(Error::WrongShape { path, tensor, expected, found }),
            Some(_) => Ok(()),
        }
    }
}

fn whole(value: &GgufValue) -> Option<u64> {
    value.to_u64().ok().or_else(|| value.to_u32().ok().map(u64::from))
}

/// Where frequencies stand as transformers 5 writes them, puts them where candle-transformers reads them; refuses any scaling.
fn plain_rope(path: &Path, config: &mut Map<String, Value>) -> Result<()> {
    for field in ["rope_scaling", "rope_parameters"] {
        let Some(Value::Object(rope)) = config.get(field) else { continue };
        if let Some(of) = rope.iter().find_map(|(of, value)| value.is_object().then_some(of)) {
            let expected = "none: positions are the same in all layers";
            return Err(Error::config(path, &format!("{field}.{of}"), "an object", expected));
        }
        let kind = rope.get("rope_type").or(rope.get("type")).and_then(Value::as_str).unwrap_or("default");
        if kind != "default" {
            let expected = "none: positions are scaled by the built-in engine only";
            return Err(Error::config(path, &format!("{field}.rope_type"), format!("`{kind}`"), expected));
        }
        whole_heads(path, rope)?;
        if let Some(theta) = rope.get("rope_theta").cloned() {
            if config.get("rope_theta").is_some_and(|other| other.as_f64() != theta.as_f64()) {
                let expected = "one frequency: rope_theta says another";
                return Err(Error::config(path, &format!("{field}.rope_theta"), theta, expected));
            }
            config.insert("rope_theta".to_owned(), theta);
        }
    }
    whole_heads(path, config)?;
    config.remove("rope_scaling");
    config.entry("rope_theta").or_insert(json!(10_000.0));
    Ok(())
}

/// Refuses positions that turn a part of each head only.
fn whole_heads(path: &Path, of: &Map<String, Value>) -> Result<()> {
    let share = of.get("partial_rotary_factor").and_then(Value::as_f64).unwrap_or(1.0);
    if share == 1.0 {
        return Ok(());
    }
    Err(Error::config(path, "partial_rotary_factor", share, "1: all of a head is turned"))
}

/// Refuses heads of keys and values that heads of queries cannot share, and a width that heads cannot.
fn shared_heads(path: &Path, config: &Map<String, Value>) -> Result<()> {
    let number = |field: &str| config.get(field).and_then(Value::as_u64);
    let fits = |all: &str, part: &str| match (number(all), number(part)) {
        (Some(whole), Some(parts)) if parts > 0 && whole % parts != 0 => {
            let expected = format!("a multiple of {part}, {parts}");
            Err(Error::config(path, all, whole, expected))
        }
        _ => Ok(()),
    };
    fits("num_attention_heads", "num_key_value_heads")?;
    if number("head_dim").is_none() { fits("hidden_size", "num_attention_heads") } else { Ok(()) }
}

/// Puts in what candle-transformers has other words for, and takes out what it would read wrongly.
fn translated(path: &Path, family: Family, config: &mut Map<String, Value>) -> Result<()> {
    if config.get("use_bidirectional_attention") == Some(&Value::Bool(true)) {
        let expected = "false: a token sees those before it";
        return Err(Error::config(path, "use_bidirectional_attention", "true", expected));
    }
    match family {
        Family::Qwen2 | Family::Qwen3 => {
            // A window that is not used must not hide anything either.
            config.insert("use_sliding_window".to_owned(), false.into());
            config.insert("sliding_window".to_owned(), config["max_position_embeddings"].clone());
        }
        Family::Phi3 => {
            // Of lists it reads none; where answers end is known already.
            config.remove("eos_token_id");
            config.remove("bos_token_id");
        }
        Family::Gemma => one_activation(path, config)?,
        Family::Gemma2 => {
            config.remove("hidden_act");
            let (scale, width) = (config["query_pre_attn_scalar"].as_f64(), config["head_dim"].as_f64());
            if scale != width {
                let expected = "head_dim, by which attention is scaled here";
                let found = config["query_pre_attn_scalar"].to_string();
                return Err(Error::config(path, "query_pre_attn_scalar", found, expected));
            }
        }
        Family::Mistral => {}
    }
    if matches!(family, Family::Gemma | Family::Gemma2) && config["tie_word_embeddings"] != Value::Bool(true)
    {
        let expected = "true: the embeddings are the head, too";
        return Err(Error::config(path, "tie_word_embeddings", "false", expected));
    }
    if matches!(family, Family::Qwen2 | Family::Phi3) {
        let size = |key: &str| config.get(key).and_then(Value::as_u64);
        let (width, heads, head) = (size("hidden_size"), size("num_attention_heads"), size("head_dim"));
        if let (Some(width), Some(heads), Some(head)) = (width, heads, head)
            && head * heads != width
        {
            return Err(Error::config(path, "head_dim", head, "hidden_size over num_attention_heads"));
        }
    }
    Ok(())
}

/// Gemma's activation: transformers 4 takes `hidden_activation` and where that says nothing the approximation by tanh, whatever
/// `hidden_act` says; transformers 5 takes `hidden_act`, of which `gelu` means that approximation too. Where the two would
/// differ nobody knows what the model was made with.
fn one_activation(path: &Path, config: &mut Map<String, Value>) -> Result<()> {
    let known = |field: &str, other: &[&str]| {
        let said = config.get(field).unwrap_or(&Value::Null);
        if said.is_null() || said.as_str().is_some_and(|said| said == TANH || other.contains(&said)) {
            return Ok(());
        }
        let expected = format!("`{TANH}`: versions of transformers differ on what another one means");
        Err(Error::config(path, field, said, expected))
    };
    known("hidden_act", &["gelu"])?;
    known("hidden_activation", &[])?;
    config.remove("hidden_act");
    config.insert("hidden_activation".to_owned(), TANH.into());
    Ok(())
}

/// The approximation of GELU by tanh, in the words of both libraries.
const TANH: &str = "gelu_pytorch_tanh";
