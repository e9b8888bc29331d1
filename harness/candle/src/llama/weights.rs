//! A model's weights from a folder in transformers' layout or from a GGUF file.
use super::config::LlamaConfig;
use super::forward::{Layer, Net};
use super::rope::Rope;
use crate::cpu::Matrix;
use crate::error::{Error, Result};
use crate::gguf::{Gguf, TensorType, quantised};
use crate::weights::Weights;
use candle_core::DType;
use safetensors::Dtype;
use std::borrow::Cow;
use std::path::Path;

/// A matrix as its file has it, row by row.
pub(super) struct Stored<'a> {
    pub(super) of: TensorType,
    bytes: Cow<'a, [u8]>,
    row: usize,
    /// Width of the heads whose rows are turned from pairs side by side to pairs half a head apart.
    heads: Option<usize>,
}

impl Stored<'_> {
    pub(super) fn row(&self, index: usize) -> &[u8] {
        let from = self.heads.map_or(index, |width| apart(index, width));
        &self.bytes[from * self.row..][..self.row]
    }
}

/// What is known of tensors without reading a number.
pub(crate) trait Shapes {
    fn path(&self) -> &Path;
    fn has(&self, name: &str) -> bool;
    /// Whether a tensor is there and has this shape.
    ///
    /// # Errors
    /// It is not, or has not.
    fn is_shaped(&self, name: &str, shape: &[usize]) -> Result<()>;
}

/// Where tensors come from.
pub(super) trait Source: Shapes {
    /// The type that a tensor's numbers are read as.
    fn kind(&self, name: &str) -> Option<TensorType>;
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>>;
    /// A matrix of `columns` stored rows of `inner` values. Where `heads` is given, their rows are turned from pairs side by
    /// side to pairs half a head apart, if the source has them so.
    fn stored(&self, name: &str, columns: usize, inner: usize, heads: Option<usize>) -> Result<Stored<'_>>;
}

/// A matrix, packed as the type to `keep` it in, or as the file has it.
fn matrix(
    source: &impl Source,
    keep: Option<TensorType>,
    name: &str,
    (columns, inner): (usize, usize),
    heads: Option<usize>,
) -> Result<Matrix> {
    let stored = source.stored(name, columns, inner, heads)?;
    let of = stored.of;
    match keep {
        None if of.block().0 > 1 => {
            Matrix::of_groups(of.kind(), inner, columns, |c, g| of.group(stored.row(c), g))
                .map_err(Error::io(source.path()))
        }
        keep => {
            let read = |c, to: &mut [f32]| of.row(stored.row(c), to);
            kept_as(keep.unwrap_or(of), (inner, columns), source.path(), read)
        }
    }
}

/// Packs a matrix of rows of numbers, kept as a type that may be a quantisation, if the rows can be rounded to it.
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
        _ => Matrix::of_quantised(keep.kind(), inner, columns, read, |values| {
            quantised(keep, values).expect("a quantisation that is made")
        }),
    };
    packed.map_err(Error::io(path))
}

/// The type that numbers stored as a type of safetensors are read as.
fn kind(dtype: Dtype) -> TensorType {
    match dtype {
        Dtype::F16 => TensorType::F16,
        Dtype::BF16 => TensorType::Bf16,
        _ => TensorType::F32,
    }
}

/// A folder in transformers' layout.
pub(super) struct Folder<'a> {
    dir: &'a Path,
    weights: Weights,
}

impl<'a> Folder<'a> {
    pub(super) fn open(dir: &'a Path) -> Result<Self> {
        let weights = Weights::open_dir(dir, "model", DType::F32, &candle_core::Device::Cpu)?;
        Ok(Self { dir, weights })
    }
}

impl Shapes for Folder<'_> {
    fn path(&self) -> &Path {
        self.dir
    }

    fn has(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    fn is_shaped(&self, name: &str, shape: &[usize]) -> Result<()> {
        self.weights.check(shape, name)
    }
}

impl Source for Folder<'_> {
    fn kind(&self, name: &str) -> Option<TensorType> {
        self.weights.info(name).map(|(dtype, _)| kind(dtype))
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.weights.values(&[len], name)
    }

    fn stored(&self, name: &str, columns: usize, inner: usize, _: Option<usize>) -> Result<Stored<'_>> {
        let shape = [columns, inner];
        let (dtype, bytes) = self.weights.stored(&shape, name)?;
        let bytes = match dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => Cow::from(bytes),
            _ => {
                let values = self.weights.values(&shape, name)?;
                values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
            }
        };
        Ok(Stored { of: kind(dtype), row: bytes.len() / columns, bytes, heads: None })
    }
}

impl Shapes for Gguf {
    fn path(&self) -> &Path {
        self.path()
    }

    fn has(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    fn is_shaped(&self, name: &str, shape: &[usize]) -> Result<()> {
        self.tensor(name, shape).map(drop)
    }
}

impl Source for Gguf {
    fn kind(&self, name: &str) -> Option<TensorType> {
        self.info(name).map(|info| info.kind)
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.tensor(name, &[len])?;
        self.values_of(name)
    }

    fn stored(&self, name: &str, columns: usize, inner: usize, heads: Option<usize>) -> Result<Stored<'_>> {
        let (of, bytes) = self.tensor(name, &[columns, inner])?;
        let (numbers, size) = of.block();
        let heads = heads.map(|heads| columns / heads);
        Ok(Stored { of, row: inner / numbers * size, bytes: bytes.into(), heads })
    }
}

/// Row of a file with pairs side by side that is row `index` where pairs are half a head apart.
fn apart(index: usize, width: usize) -> usize {
    let (head, within) = (index / width, index % width);
    head * width + within % (width / 2) * 2 + within / (width / 2)
}

/// What tensors are called.
pub(crate) struct Names {
    pub(crate) embedding: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) head: &'static str,
    pub(crate) layer: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) output: &'static str,
    pub(crate) mlp_norm: &'static str,
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

pub(super) const TRANSFORMERS: Names = Names {
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

pub(crate) const LLAMA_CPP: Names = Names {
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

/// What a GGUF file of a scaled model divides the frequencies by.
const FACTORS: &str = "rope_freqs.weight";

/// Divides frequencies by the factors that a GGUF file has for them, if any.
pub(super) fn divided(rope: &mut Rope, gguf: &Gguf, head_width: usize) -> Result<()> {
    factors_fit(gguf, head_width)?;
    if gguf.has(FACTORS) {
        rope.divide(&gguf.values_of(FACTORS)?);
    }
    Ok(())
}

/// Whether a GGUF file has as many factors as there are frequencies, if any.
pub(super) fn factors_fit(gguf: &Gguf, head_width: usize) -> Result<()> {
    if gguf.has(FACTORS) { gguf.is_shaped(FACTORS, &[head_width / 2]) } else { Ok(()) }
}

/// The sizes that shapes follow from.
pub(crate) struct Sizes {
    pub(crate) vocabulary: usize,
    pub(crate) width: usize,
    pub(crate) inner_width: usize,
    /// Of all heads of queries together.
    pub(crate) wide: usize,
    /// Of all heads of keys, or of values.
    pub(crate) narrow: usize,
    pub(crate) layers: usize,
    /// Whether the embeddings serve as the head too.
    pub(crate) tied: bool,
}

/// Whether everything that [`load`] needs is there in its shape; no weight is read.
///
/// # Errors
/// The first tensor that is missing, or has another shape.
pub(crate) fn fits(source: &impl Shapes, names: &Names, of: &Sizes) -> Result<()> {
    source.is_shaped(names.embedding, &[of.vocabulary, of.width])?;
    source.is_shaped(names.norm, &[of.width])?;
    if !of.tied {
        source.is_shaped(names.head, &[of.vocabulary, of.width])?;
    }
    for i in 0..of.layers {
        for (name, shape) in [
            (names.attention_norm, &[of.width][..]),
            (names.query, &[of.wide, of.width]),
            (names.key, &[of.narrow, of.width]),
            (names.value, &[of.narrow, of.width]),
            (names.output, &[of.width, of.wide]),
            (names.mlp_norm, &[of.width]),
            (names.gate, &[of.inner_width, of.width]),
            (names.up, &[of.inner_width, of.width]),
            (names.down, &[of.width, of.inner_width]),
        ] {
            source.is_shaped(&format!("{}.{i}.{name}", names.layer), shape)?;
        }
    }
    Ok(())
}

/// The sizes that a source must fit.
pub(super) fn sizes(source: &impl Shapes, names: &Names, c: &LlamaConfig) -> Sizes {
    Sizes {
        vocabulary: c.vocabulary,
        width: c.width,
        inner_width: c.inner_width,
        wide: c.heads * c.head_width,
        narrow: c.kv_heads * c.head_width,
        layers: c.layers,
        tied: tied(source, names, c),
    }
}

/// Whether the embeddings serve as the head too.
pub(super) fn tied(source: &impl Shapes, names: &Names, config: &LlamaConfig) -> bool {
    config.tied || (!source.has(names.head) && source.path().is_file())
}

/// The type that a model's matrices are stored as: that of its first.
pub(super) fn stored(source: &impl Source, names: &Names) -> TensorType {
    source.kind(&format!("{}.0.{}", names.layer, names.query)).unwrap_or(TensorType::F32)
}

/// Loads a model; `keep` is the type of the matrices, the stored one where `None`.
pub(super) fn load(
    source: &impl Source,
    names: &Names,
    config: LlamaConfig,
    keep: Option<TensorType>,
) -> Result<Net> {
    let c = &config;
    let (wide, narrow) = (c.heads * c.head_width, c.kv_heads * c.head_width);
    let embedding = matrix(source, keep, names.embedding, (c.vocabulary, c.width), None)?;
    let norm = source.vector(names.norm, c.width)?;
    let head = match tied(source, names, c) {
        true => None,
        false => Some(matrix(source, keep, names.head, (c.vocabulary, c.width), None)?),
    };
    let mut layers = vec![];
    for i in 0..c.layers {
        let name = |n: &str| format!("{}.{i}.{n}", names.layer);
        let matrix = |n: &str, columns, inner, heads| -> Result<Matrix> {
            matrix(source, keep, &name(n), (columns, inner), heads)
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
