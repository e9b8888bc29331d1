//! What is known of a checkpoint without its weights: `config.json` in the words that candle-transformers understands, or a GGUF
//! file's metadata.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use crate::llama::generation;
use candle_core::quantized::gguf_file::{Content, Value as GgufValue};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Which of candle-transformers' models a checkpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Qwen2,
    Qwen3,
    Phi3,
    Gemma,
    Gemma2,
    Mistral,
}

impl Family {
    const ALL: [(&'static str, Self); 6] = [
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
        ("phi3", Self::Phi3),
        ("gemma", Self::Gemma),
        ("gemma2", Self::Gemma2),
        ("mistral", Self::Mistral),
    ];
}

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
        // What transformers takes where a file does not say.
        if matches!(family, Family::Mistral | Family::Gemma2) {
            config.entry("sliding_window").or_insert(json!(4096));
        }
        let windowed = match family {
            Family::Qwen2 | Family::Qwen3 => config.get("use_sliding_window") == Some(&Value::Bool(true)),
            _ => true,
        };
        // Where a token sees only so many before it, more are seen here: within the window it is the same.
        if let (true, Some(window)) = (windowed, config.get("sliding_window").and_then(Value::as_u64)) {
            positions = positions.min(window as usize);
        }
        let (begins, ends) = generation(path)?;
        let begin = config.get("bos_token_id").and_then(Value::as_u64).map(|id| id as u32);
        let end = match config.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).map(|id| id as u32).collect(),
            Some(Value::Number(id)) => id.as_u64().map(|id| id as u32).into_iter().collect(),
            _ => vec![],
        };
        translated(path, *family, &mut config)?;
        let (begin, end) = (begins.or(begin), ends.unwrap_or(end));
        Ok(Self { vocabulary, positions, begin, end, layout: Layout::Folder(*family, config) })
    }

    fn of_gguf(path: &Path) -> Result<Self> {
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
        let heads = |what: &str| number(&format!("{kind}.attention.{what}"));
        let (all, shared) = (heads("head_count"), heads("head_count_kv").or(heads("head_count")));
        match (all, shared) {
            (Some(all), Some(shared)) if shared > 0 && all > 0 && all % shared == 0 => {}
            _ => {
                let expected = "a number of heads that head_count_kv divides";
                let found = all.map_or("none".to_owned(), |all| all.to_string());
                return Err(Error::config(path, "llama.attention.head_count", found, expected));
            }
        }
        let table = content.tensor_infos.get("token_embd.weight");
        let vocabulary = table.and_then(|info| info.shape.dims().first().copied()).unwrap_or(0);
        Error::bound(path, "token_embd.weight", vocabulary, limits::VOCABULARY)?;
        let id = |key: &str| number(key).map(|id| id as u32);
        Ok(Self {
            vocabulary,
            positions: positions.min(GGUF_LLAMA_POSITIONS),
            begin: id("tokenizer.ggml.bos_token_id"),
            end: id("tokenizer.ggml.eos_token_id").into_iter().collect(),
            layout: Layout::Gguf,
        })
    }
}

fn whole(value: &GgufValue) -> Option<u64> {
    value.to_u64().ok().or_else(|| value.to_u32().ok().map(u64::from))
}

/// Where frequencies stand as transformers 5 writes them, puts them where candle-transformers reads them; refuses any scaling.
fn plain_rope(path: &Path, config: &mut Map<String, Value>) -> Result<()> {
    for field in ["rope_scaling", "rope_parameters"] {
        let Some(Value::Object(rope)) = config.get(field) else { continue };
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

/// A field's value where the file has none.
fn usual(config: &mut Map<String, Value>, key: &str, value: Value) {
    let entry = config.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = value;
    }
}

/// Puts in what candle-transformers has no default for, and takes out what it would read wrongly.
fn translated(path: &Path, family: Family, config: &mut Map<String, Value>) -> Result<()> {
    let positions = config["max_position_embeddings"].clone();
    usual(config, "tie_word_embeddings", matches!(family, Family::Gemma | Family::Gemma2).into());
    usual(config, "rms_norm_eps", json!(if family == Family::Phi3 { 1e-5 } else { 1e-6 }));
    match family {
        Family::Qwen2 | Family::Qwen3 => {
            // A window that is not used must not hide anything either.
            usual(config, "use_sliding_window", false.into());
            usual(config, "max_window_layers", 0.into());
            usual(config, "attention_bias", false.into());
            usual(config, "hidden_act", "silu".into());
            config.insert("use_sliding_window".to_owned(), false.into());
            config.insert("sliding_window".to_owned(), positions);
        }
        Family::Phi3 => {
            usual(config, "hidden_act", "silu".into());
            // Of lists it reads none; where answers end is known already.
            config.remove("eos_token_id");
            config.remove("bos_token_id");
        }
        Family::Gemma | Family::Gemma2 => {
            usual(config, "attention_bias", false.into());
            usual(config, "hidden_activation", "gelu_pytorch_tanh".into());
            config.remove("hidden_act");
            if config["tie_word_embeddings"] != Value::Bool(true) {
                let expected = "true: the embeddings are the head, too";
                return Err(Error::config(path, "tie_word_embeddings", "false", expected));
            }
            usual(config, "head_dim", 256.into());
            if family == Family::Gemma2 {
                usual(config, "query_pre_attn_scalar", 256.into());
                config.entry("attn_logit_softcapping").or_insert(json!(50.0));
                config.entry("final_logit_softcapping").or_insert(json!(30.0));
                let (scale, width) = (config["query_pre_attn_scalar"].as_f64(), config["head_dim"].as_f64());
                if scale != width {
                    let expected = "head_dim, by which attention is scaled here";
                    let found = config["query_pre_attn_scalar"].to_string();
                    return Err(Error::config(path, "query_pre_attn_scalar", found, expected));
                }
            }
        }
        Family::Mistral => usual(config, "hidden_act", "silu".into()),
    }
    if family == Family::Qwen2 {
        let size = |key: &str| config.get(key).and_then(Value::as_u64);
        let (width, heads, head) = (size("hidden_size"), size("num_attention_heads"), size("head_dim"));
        if let (Some(width), Some(heads), Some(head)) = (width, heads, head)
            && head * heads != width
        {
            return Err(Error::config(path, "head_dim", head, "hidden_size over num_attention_heads"));
        }
    }
    if family == Family::Qwen3 && config.get("head_dim").is_none_or(Value::is_null) {
        config.insert("head_dim".to_owned(), 128.into());
    }
    Ok(())
}
