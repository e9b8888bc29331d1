//! A model's weights from a folder in transformers' layout or from a GGUF file.
use super::config::LlamaConfig;
use super::forward::{Layer, Net};
use super::rope::Rope;
use crate::cpu::Matrix;
use crate::error::{Error, Result};
use crate::gguf::{Gguf, TensorType, quantised};
use crate::weights::Weights;
use candle_core::DType;
use half::{bf16, f16};
use safetensors::Dtype;
use std::path::Path;

/// Where tensors come from.
trait Source {
    fn path(&self) -> &Path;
    fn has(&self, name: &str) -> bool;
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>>;
    /// A matrix of `columns` stored rows of `inner` values. Where `heads` is given, their rows are turned from pairs side by
    /// side to pairs half a head apart, if the source has them so.
    fn matrix(&self, name: &str, columns: usize, inner: usize, heads: Option<usize>) -> Result<Matrix>;
}

/// Packs a matrix of rows of numbers, kept as a type that may be a quantisation.
fn kept_as(
    keep: TensorType,
    (inner, columns): (usize, usize),
    path: &Path,
    read: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Matrix> {
    let packed = match keep {
        TensorType::F32 | TensorType::F16 | TensorType::Bf16 => {
            Matrix::of_floats(keep.kind(), inner, columns, read)
        }
        _ if quantised(keep, &[0.0; 32]).is_none() || !inner.is_multiple_of(32) => {
            let found = format!("{keep:?} of rows of {inner}");
            let expected = "F32, F16 or BF16, or Q8_0, Q4_0 or Q4_1 of rows of a multiple of 32".to_owned();
            return Err(Error::Request { field: "weights", found, expected });
        }
        _ => Matrix::of_quantised(keep.kind(), inner, columns, read, |values| {
            quantised(keep, values).expect("a quantisation that is made")
        }),
    };
    packed.map_err(Error::io(path))
}

struct Folder<'a> {
    dir: &'a Path,
    weights: Weights,
    keep: Option<TensorType>,
}

impl Source for Folder<'_> {
    fn path(&self) -> &Path {
        self.dir
    }

    fn has(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.weights.values(&[len], name)
    }

    fn matrix(&self, name: &str, columns: usize, inner: usize, _: Option<usize>) -> Result<Matrix> {
        let shape = [columns, inner];
        let (dtype, bytes) = self.weights.stored(&shape, name)?;
        let stored = match dtype {
            Dtype::F16 => TensorType::F16,
            Dtype::BF16 => TensorType::Bf16,
            _ => TensorType::F32,
        };
        let keep = self.keep.unwrap_or(stored);
        let row = bytes.len() / columns;
        let row = |column: usize| &bytes[column * row..][..row];
        let size = (inner, columns);
        match dtype {
            Dtype::F32 => kept_as(keep, size, self.dir, |c, to| words(row(c), to, f32::from_le_bytes)),
            Dtype::F16 => kept_as(keep, size, self.dir, |c, to| {
                words(row(c), to, |b| f16::from_le_bytes(b).to_f32());
            }),
            Dtype::BF16 => kept_as(keep, size, self.dir, |c, to| {
                words(row(c), to, |b| bf16::from_le_bytes(b).to_f32());
            }),
            _ => {
                let values = self.weights.values(&shape, name)?;
                kept_as(keep, size, self.dir, |c, to| to.copy_from_slice(&values[c * inner..][..inner]))
            }
        }
    }
}

fn words<const N: usize>(bytes: &[u8], to: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    to.iter_mut().zip(bytes.as_chunks::<N>().0).for_each(|(v, b)| *v = read(*b));
}

struct File<'a> {
    gguf: &'a Gguf,
    keep: Option<TensorType>,
}

impl Source for File<'_> {
    fn path(&self) -> &Path {
        self.gguf.path()
    }

    fn has(&self, name: &str) -> bool {
        self.gguf.info(name).is_some()
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.gguf.tensor(name, &[len])?;
        self.gguf.values_of(name)
    }

    fn matrix(&self, name: &str, columns: usize, inner: usize, heads: Option<usize>) -> Result<Matrix> {
        let (stored, bytes) = self.gguf.tensor(name, &[columns, inner])?;
        let (numbers, size) = stored.block();
        let row = inner / numbers * size;
        let row = |column: usize| {
            let from = heads.map_or(column, |heads| apart(column, columns / heads));
            &bytes[from * row..][..row]
        };
        match self.keep {
            None if stored.block().0 > 1 => {
                Matrix::of_groups(stored.kind(), inner, columns, |c, g| stored.group(row(c), g))
                    .map_err(Error::io(self.path()))
            }
            keep => {
                let read = |c, to: &mut [f32]| TensorType::row(stored, row(c), to);
                kept_as(keep.unwrap_or(stored), (inner, columns), self.path(), read)
            }
        }
    }
}

/// Row of a file with pairs side by side that is row `index` where pairs are half a head apart.
fn apart(index: usize, width: usize) -> usize {
    let (head, within) = (index / width, index % width);
    head * width + within % (width / 2) * 2 + within / (width / 2)
}

/// What tensors are called.
struct Names {
    embedding: &'static str,
    norm: &'static str,
    head: &'static str,
    layer: &'static str,
    attention_norm: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    output: &'static str,
    mlp_norm: &'static str,
    gate: &'static str,
    up: &'static str,
    down: &'static str,
}

const TRANSFORMERS: Names = Names {
    embedding: "model.embed_tokens.weight",
    norm: "model.norm.weight",
    head: "lm_head.weight",
    layer: "model.layers",
    attention_norm: "input_layernorm.weight",
    query: "self_attn.q_proj.weight",
    key: "self_attn.k_proj.weight",
    value: "self_attn.v_proj.weight",
    output: "self_attn.o_proj.weight",
    mlp_norm: "post_attention_layernorm.weight",
    gate: "mlp.gate_proj.weight",
    up: "mlp.up_proj.weight",
    down: "mlp.down_proj.weight",
};

const LLAMA_CPP: Names = Names {
    embedding: "token_embd.weight",
    norm: "output_norm.weight",
    head: "output.weight",
    layer: "blk",
    attention_norm: "attn_norm.weight",
    query: "attn_q.weight",
    key: "attn_k.weight",
    value: "attn_v.weight",
    output: "attn_output.weight",
    mlp_norm: "ffn_norm.weight",
    gate: "ffn_gate.weight",
    up: "ffn_up.weight",
    down: "ffn_down.weight",
};

/// Loads a folder in transformers' layout; `keep` is the type of the matrices, the stored one where `None`.
pub(super) fn from_folder(dir: &Path, config: LlamaConfig, keep: Option<TensorType>) -> Result<Net> {
    let weights = Weights::open_dir(dir, "model", DType::F32, &candle_core::Device::Cpu)?;
    load(&Folder { dir, weights, keep }, &TRANSFORMERS, config)
}

/// Loads a GGUF file; matrices stay as they are where `keep` is `None`.
pub(super) fn from_gguf(gguf: &Gguf, config: LlamaConfig, keep: Option<TensorType>) -> Result<Net> {
    let mut net = load(&File { gguf, keep }, &LLAMA_CPP, config)?;
    let factors = "rope_freqs.weight";
    if gguf.info(factors).is_some() {
        let half = net.config.head_width / 2;
        gguf.tensor(factors, &[half])?;
        net.rope.divide(&gguf.values_of(factors)?);
    }
    Ok(net)
}

fn load(source: &impl Source, names: &Names, config: LlamaConfig) -> Result<Net> {
    let c = &config;
    let (wide, narrow) = (c.heads * c.head_width, c.kv_heads * c.head_width);
    let embedding = source.matrix(names.embedding, c.vocabulary, c.width, None)?;
    let norm = source.vector(names.norm, c.width)?;
    let head = match c.tied || (!source.has(names.head) && source.path().is_file()) {
        true => None,
        false => Some(source.matrix(names.head, c.vocabulary, c.width, None)?),
    };
    let mut layers = vec![];
    for i in 0..c.layers {
        let name = |n: &str| format!("{}.{i}.{n}", names.layer);
        let matrix = |n: &str, columns, inner, heads| -> Result<Matrix> {
            source.matrix(&name(n), columns, inner, heads)
        };
        layers.push(Layer {
            attention_norm: source.vector(&name(names.attention_norm), c.width)?,
            query: matrix(names.query, wide, c.width, Some(c.heads))?,
            key: matrix(names.key, narrow, c.width, Some(c.kv_heads))?,
            value: matrix(names.value, narrow, c.width, None)?,
            output: matrix(names.output, c.width, wide, None)?,
            mlp_norm: source.vector(&name(names.mlp_norm), c.width)?,
            gate: matrix(names.gate, c.inner_width, c.width, None)?,
            up: matrix(names.up, c.inner_width, c.width, None)?,
            down: matrix(names.down, c.width, c.inner_width, None)?,
        });
    }
    let rope = Rope::new(&config);
    Ok(Net { config, embedding, layers, norm, head, rope })
}
