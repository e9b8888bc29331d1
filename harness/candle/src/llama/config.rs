//! The configuration of a model of LLaMA's layout: `config.json`, parsed into what cannot be wrong.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::limits;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::Path;

/// How positions beyond those that the model was first trained on are brought nearer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// All frequencies are divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1's: low frequencies are divided, high ones kept, those between in between.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths longer than the original context over this are divided.
        low_freq_factor: f64,
        /// Wavelengths shorter than the original context over this are kept.
        high_freq_factor: f64,
        /// Positions the model was first trained on.
        original_context: usize,
    },
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Entries of the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width inside an MLP.
    pub inner_width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; a divisor of `heads`.
    pub kv_heads: usize,
    /// Width of a head, even.
    pub head_width: usize,
    /// Positions that the model was made for.
    pub positions: usize,
    /// ε of the norms.
    pub epsilon: f64,
    /// Base of the rotary embedding's frequencies.
    pub theta: f64,
    /// Their scaling.
    pub scaling: Option<RopeScaling>,
    /// Whether the embeddings serve as the head too.
    pub tied: bool,
    /// Token that begins a text, where the configuration says.
    pub begin: Option<u32>,
    /// Tokens that end an answer.
    pub end: Vec<u32>,
}

/// What is read of `config.json`, as transformers 4 and 5 write it.
#[derive(Deserialize)]
struct File {
    model_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default = "epsilon")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    rope_parameters: Option<Rope>,
    partial_rotary_factor: Option<f64>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "begin")]
    bos_token_id: Option<u64>,
    #[serde(default = "end")]
    eos_token_id: Option<OneOrMore>,
    quantization_config: Option<IgnoredAny>,
}

/// What is read of `generation_config.json`, by which transformers generates where it is there.
#[derive(Deserialize)]
struct Generation {
    bos_token_id: Option<u64>,
    eos_token_id: Option<OneOrMore>,
}

fn begin() -> Option<u64> {
    Some(1)
}

fn end() -> Option<OneOrMore> {
    Some(OneOrMore::One(2))
}

fn positions() -> usize {
    2048
}

fn epsilon() -> f64 {
    1e-6
}

fn silu() -> String {
    "silu".to_owned()
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Rope {
    rope_type: Option<String>,
    /// The same, as older versions call it; some files have both.
    r#type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

impl Rope {
    fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.r#type.as_deref()).unwrap_or("default")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u64),
    More(Vec<u64>),
}

impl From<OneOrMore> for Vec<u64> {
    fn from(ids: OneOrMore) -> Self {
        match ids {
            OneOrMore::One(id) => vec![id],
            OneOrMore::More(ids) => ids,
        }
    }
}

/// The tokens that begin and end texts: those of the `generation_config.json` beside a `config.json` where it tells them,
/// else `begin` and `end`, which the latter tells.
///
/// # Errors
/// It cannot be read, or the vocabulary lacks a token, of which the message names the file that tells it.
pub(crate) fn special_tokens(
    config: &Path,
    begin: Option<u64>,
    end: Vec<u64>,
    vocabulary: usize,
) -> Result<(Option<u32>, Vec<u32>)> {
    let beside = config.with_file_name("generation_config.json");
    let found: Option<Generation> = beside.exists().then(|| read_json(&beside)).transpose()?;
    let (first, last) = found.map_or((None, None), |of| (of.bos_token_id, of.eos_token_id));
    let (begin_path, begin) = first.map_or((config, begin), |id| (&beside, Some(id)));
    let (end_path, end) = last.map_or((config, end), |ids| (&beside, ids.into()));
    let begin = begin.map(|id| token(begin_path, "bos_token_id", id, vocabulary)).transpose()?;
    let end = end.into_iter().map(|id| token(end_path, "eos_token_id", id, vocabulary));
    Ok((begin, end.collect::<Result<_>>()?))
}

/// A token that the vocabulary has.
///
/// # Errors
/// It has not.
pub(crate) fn token(path: &Path, field: &str, id: u64, vocabulary: usize) -> Result<u32> {
    let known = u32::try_from(id).ok().filter(|id| (*id as usize) < vocabulary);
    known.ok_or_else(|| Error::config(path, field, id, format!("below the vocabulary's {vocabulary}")))
}

impl LlamaConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`], which names the field, and how the file may be unreadable.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file: File = read_json(path)?;
        for (field, found, expected) in [
            ("model_type", file.model_type.as_deref().unwrap_or("llama"), "llama"),
            ("hidden_act", &file.hidden_act, "silu"),
        ] {
            if found != expected {
                return Err(Error::config(path, field, format!("`{found}`"), format!("`{expected}`")));
            }
        }
        for (field, found) in [("attention_bias", file.attention_bias), ("mlp_bias", file.mlp_bias)] {
            if found {
                return Err(Error::config(path, field, "true", "false: products without biases"));
            }
        }
        if file.quantization_config.is_some() {
            let expected = "none: quantised weights are read from a GGUF file";
            return Err(Error::config(path, "quantization_config", "one", expected));
        }
        let end = file.eos_token_id.take().map_or(vec![], Vec::from);
        let (rope, theta) = rope(path, &file)?;
        let (begin, end) = special_tokens(path, file.bos_token_id, end, file.vocab_size)?;
        let scaling = rope.map_or(Ok(None), |r| scaling(path, r, file.max_position_embeddings))?;
        let head_width = match file.head_dim {
            Some(width) => width,
            None => file.hidden_size / file.num_attention_heads.max(1),
        };
        let config = Self {
            vocabulary: file.vocab_size,
            width: file.hidden_size,
            inner_width: file.intermediate_size,
            layers: file.num_hidden_layers,
            heads: file.num_attention_heads,
            kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
            head_width,
            positions: file.max_position_embeddings,
            epsilon: file.rms_norm_eps,
            theta,
            scaling,
            tied: file.tie_word_embeddings,
            begin,
            end,
        };
        config.check(path, &Names::TRANSFORMERS)?;
        Ok(config)
    }

    /// Checks that sizes are within bounds and fit one another; messages use the names of the file's fields.
    pub(super) fn check(&self, path: &Path, names: &Names) -> Result<()> {
        for (field, found, most) in [
            (names.vocabulary, self.vocabulary, limits::VOCABULARY),
            (names.width, self.width, limits::WIDTH),
            (names.inner_width, self.inner_width, limits::INNER_WIDTH),
            (names.layers, self.layers, limits::LAYERS),
            (names.heads, self.heads, limits::WIDTH),
            (names.kv_heads, self.kv_heads, limits::WIDTH),
            (names.head_width, self.head_width, limits::WIDTH),
            (names.positions, self.positions, limits::CONTEXT),
        ] {
            Error::bound(path, field, found, most)?;
        }
        let bad = |field, found: usize, expected: String| Err(Error::config(path, field, found, expected));
        if !self.heads.is_multiple_of(self.kv_heads) {
            return bad(names.kv_heads, self.kv_heads, format!("a divisor of the {} heads", self.heads));
        }
        if !self.head_width.is_multiple_of(2) {
            return bad(names.head_width, self.head_width, "an even number".to_owned());
        }
        if self.heads * self.head_width > limits::WIDTH {
            let expected = format!("at most {} in all heads together", limits::WIDTH);
            return bad(names.head_width, self.head_width, expected);
        }
        if !(self.theta.is_finite() && self.theta >= 1.0) {
            return Err(Error::config(path, names.theta, self.theta, "a number of at least 1"));
        }
        Error::epsilon(path, names.epsilon, self.epsilon)
    }
}

/// What a file calls the fields.
pub(super) struct Names {
    pub(super) vocabulary: &'static str,
    pub(super) width: &'static str,
    pub(super) inner_width: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    pub(super) kv_heads: &'static str,
    pub(super) head_width: &'static str,
    pub(super) positions: &'static str,
    pub(super) epsilon: &'static str,
    pub(super) theta: &'static str,
}

impl Names {
    const TRANSFORMERS: Self = Self {
        vocabulary: "vocab_size",
        width: "hidden_size",
        inner_width: "intermediate_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        kv_heads: "num_key_value_heads",
        head_width: "head_dim",
        positions: "max_position_embeddings",
        epsilon: "rms_norm_eps",
        theta: "rope_theta",
    };
}

/// How positions are told, and the base of their frequencies: transformers 5 writes both into `rope_parameters`, 4 into
/// fields of their own. Which of them counts depends on the version, so that they must not differ.
fn rope<'a>(path: &Path, file: &'a File) -> Result<(Option<&'a Rope>, f64)> {
    let (new, old) = (file.rope_parameters.as_ref(), file.rope_scaling.as_ref());
    let shares = [old, new].into_iter().flatten().map(|rope| rope.partial_rotary_factor);
    if let Some(share) = shares.chain([file.partial_rotary_factor]).flatten().find(|share| *share != 1.0) {
        return Err(Error::config(path, "partial_rotary_factor", share, "1: all of a head is turned"));
    }
    let shape = |rope: &Rope| Rope {
        rope_theta: None,
        rope_type: Some(rope.kind().to_owned()),
        r#type: None,
        ..rope.clone()
    };
    if let (Some(new), Some(old)) = (new, old)
        && shape(new) != shape(old)
    {
        return Err(Error::config(path, "rope_scaling", "another", "the same as rope_parameters"));
    }
    let mut told =
        [new.and_then(|rope| rope.rope_theta), old.and_then(|rope| rope.rope_theta), file.rope_theta]
            .into_iter()
            .flatten();
    let theta = told.next();
    match told.find(|other| Some(*other) != theta) {
        Some(other) => {
            let expected = format!("the {} of rope_parameters or rope_scaling", theta.unwrap_or_default());
            Err(Error::config(path, "rope_theta", other, expected))
        }
        None => Ok((new.or(old), theta.unwrap_or(10_000.0))),
    }
}

fn scaling(path: &Path, rope: &Rope, positions: usize) -> Result<Option<RopeScaling>> {
    let number = |field: &str, value: Option<f64>| match value {
        Some(v) if v.is_finite() && v >= 1.0 => Ok(v),
        v => {
            let found = v.map_or("nothing".to_owned(), |v| v.to_string());
            Err(Error::config(path, &format!("rope_scaling.{field}"), found, "a number of at least 1"))
        }
    };
    match rope.kind() {
        "default" => Ok(None),
        "linear" => Ok(Some(RopeScaling::Linear { factor: number("factor", rope.factor)? })),
        "llama3" => {
            let (low, high) = (
                number("low_freq_factor", rope.low_freq_factor)?,
                number("high_freq_factor", rope.high_freq_factor)?,
            );
            if low >= high {
                let expected = format!("above low_freq_factor's {low}");
                return Err(Error::config(path, "rope_scaling.high_freq_factor", high, expected));
            }
            let original = rope.original_max_position_embeddings.unwrap_or(positions);
            Error::bound(path, "rope_scaling.original_max_position_embeddings", original, limits::CONTEXT)?;
            Ok(Some(RopeScaling::Llama3 {
                factor: number("factor", rope.factor)?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_context: original,
            }))
        }
        other => Err(Error::config(
            path,
            "rope_scaling.rope_type",
            format!("`{other}`"),
            "`default`, `linear` or `llama3`",
        )),
    }
}
