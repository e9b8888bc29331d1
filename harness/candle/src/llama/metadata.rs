//! The configuration that a GGUF file's metadata holds.
use super::config::{LlamaConfig, Names, RopeScaling, token};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, Value};

const NAMES: Names = Names {
    vocabulary: "tokenizer.ggml.tokens",
    width: "llama.embedding_length",
    inner_width: "llama.feed_forward_length",
    layers: "llama.block_count",
    heads: "llama.attention.head_count",
    kv_heads: "llama.attention.head_count_kv",
    head_width: "llama.rope.dimension_count",
    positions: "llama.context_length",
    epsilon: "llama.attention.layer_norm_rms_epsilon",
    theta: "llama.rope.freq_base",
};

/// Reads and checks the metadata.
pub(super) fn config(gguf: &Gguf) -> Result<LlamaConfig> {
    let bad = |field: &str, expected: &str| {
        let found = gguf.value(field).map_or("nothing".to_owned(), brief);
        Error::config(gguf.path(), field, found, expected)
    };
    if gguf.value("general.architecture").and_then(Value::text) != Some("llama") {
        return Err(bad("general.architecture", "`llama`"));
    }
    let optional = |field: &str| match gguf.value(field) {
        None => Ok(None),
        Some(v) => match v.unsigned().and_then(|v| usize::try_from(v).ok()) {
            None => Err(bad(field, "a whole number")),
            found => Ok(found),
        },
    };
    let number = |field: &str| match optional(field)? {
        None => Err(bad(field, "a whole number")),
        Some(v) => Ok(v),
    };
    let float = |field: &str, default: f64| match gguf.value(field) {
        None => Ok(default),
        Some(v) => v.float().ok_or_else(|| bad(field, "a number")),
    };
    let (width, heads) = (number(NAMES.width)?, number(NAMES.heads)?);
    let head_width = optional("llama.attention.key_length")?.unwrap_or(width / heads.max(1));
    for field in [NAMES.head_width, "llama.attention.value_length"] {
        if optional(field)?.is_some_and(|n| n != head_width) {
            return Err(bad(field, &format!("{head_width}, the width of a head")));
        }
    }
    if optional("llama.expert_count")?.is_some_and(|n| n > 0) {
        return Err(bad("llama.expert_count", "none: experts are not read"));
    }
    let Some(embedding) = gguf.info("token_embd.weight").filter(|i| i.shape.len() == 2) else {
        let (path, tensor, expected) =
            (gguf.path().to_path_buf(), "token_embd.weight".to_owned(), vec![0, width]);
        return Err(Error::MissingTensor { path, tensor, expected });
    };
    let positions = number(NAMES.positions)?;
    let scaling = match gguf.value("llama.rope.scaling.type").and_then(Value::text) {
        None | Some("none") => None,
        Some("linear") => {
            let factor = float("llama.rope.scaling.factor", 1.0)?;
            if !(factor.is_finite() && factor >= 1.0) {
                return Err(bad("llama.rope.scaling.factor", "a number of at least 1"));
            }
            Some(RopeScaling::Linear { factor })
        }
        Some(_) => return Err(bad("llama.rope.scaling.type", "`none` or `linear`")),
    };
    let vocabulary = embedding.shape[0];
    let special =
        |field: &str| optional(field)?.map(|id| token(gguf.path(), field, id as u64, vocabulary)).transpose();
    let (begin, end) = (special("tokenizer.ggml.bos_token_id")?, special("tokenizer.ggml.eos_token_id")?);
    let config = LlamaConfig {
        vocabulary,
        width,
        inner_width: number(NAMES.inner_width)?,
        layers: number(NAMES.layers)?,
        heads,
        kv_heads: optional(NAMES.kv_heads)?.unwrap_or(heads),
        head_width,
        positions,
        epsilon: float(NAMES.epsilon, 1e-5)?,
        theta: float(NAMES.theta, 10_000.0)?,
        scaling,
        tied: gguf.info("output.weight").is_none(),
        begin,
        end: end.into_iter().collect(),
    };
    config.check(gguf.path(), &NAMES)?;
    Ok(config)
}

/// A value for a message.
fn brief(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("`{}`", text.chars().take(60).collect::<String>()),
        Value::List(values) => format!("a list of {}", values.len()),
        Value::Unsigned(v) => v.to_string(),
        Value::Signed(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
    }
}
