//! A model's weights from a folder in transformers' layout or from a GGUF file.
use super::config::LlamaConfig;
use super::forward::{Layer, Net};
use super::rope::Rope;
use crate::cpu::{Kind, Matrix};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, TensorType};
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

/// The kind that a type asked for stands for.
fn kind_of(dtype: DType) -> Result<Kind> {
    Ok(match dtype {
        DType::F32 => Kind::F32,
        DType::F16 => Kind::F16,
        DType::BF16 => Kind::Bf16,
        other => {
            let found = format!("{other:?}");
            return Err(Error::Request { field: "dtype", found, expected: "f32, f16 or bf16".to_owned() });
        }
    })
}

struct Folder<'a> {
    dir: &'a Path,
    weights: Weights,
    kind: Option<Kind>,
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
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            _ => Kind::F32,
        };
        let kind = self.kind.unwrap_or(stored);
        let row = bytes.len() / columns;
        let row = |column: usize| &bytes[column * row..][..row];
        let packed = match dtype {
            Dtype::F32 => {
                Matrix::of_floats(kind, inner, columns, |c, to| words(row(c), to, f32::from_le_bytes))
            }
            Dtype::F16 => Matrix::of_floats(kind, inner, columns, |c, to| {
                words(row(c), to, |b| f16::from_le_bytes(b).to_f32());
            }),
            Dtype::BF16 => Matrix::of_floats(kind, inner, columns, |c, to| {
                words(row(c), to, |b| bf16::from_le_bytes(b).to_f32());
            }),
            _ => {
                let values = self.weights.values(&shape, name)?;
                Matrix::of_floats(kind, inner, columns, |c, to| {
                    to.copy_from_slice(&values[c * inner..][..inner]);
                })
            }
        };
        packed.map_err(Error::io(self.dir))
    }
}

fn words<const N: usize>(bytes: &[u8], to: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    to.iter_mut().zip(bytes.as_chunks::<N>().0).for_each(|(v, b)| *v = read(*b));
}

struct File<'a> {
    gguf: &'a Gguf,
    kind: Option<Kind>,
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
        let packed = match self.kind {
            None if stored.block().0 > 1 => {
                Matrix::of_groups(stored.kind(), inner, columns, |c, g| stored.group(row(c), g))
            }
            kind => {
                let kind = kind.unwrap_or(stored.kind());
                Matrix::of_floats(kind, inner, columns, |c, to| TensorType::row(stored, row(c), to))
            }
        };
        packed.map_err(Error::io(self.path()))
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

/// Loads a folder in transformers' layout; `dtype` is that of the matrices, the stored one where `None`.
pub(super) fn from_folder(dir: &Path, config: LlamaConfig, dtype: Option<DType>) -> Result<Net> {
    let kind = dtype.map(kind_of).transpose()?;
    let weights = Weights::open_dir(dir, "model", DType::F32, &candle_core::Device::Cpu)?;
    load(&Folder { dir, weights, kind }, &TRANSFORMERS, config)
}

/// Loads a GGUF file; matrices stay quantised where `dtype` is `None`.
pub(super) fn from_gguf(gguf: &Gguf, config: LlamaConfig, dtype: Option<DType>) -> Result<Net> {
    let kind = dtype.map(kind_of).transpose()?;
    let mut net = load(&File { gguf, kind }, &LLAMA_CPP, config)?;
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
