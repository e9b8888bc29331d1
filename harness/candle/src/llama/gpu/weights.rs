//! A model's weights on the card.
use crate::Accelerator;
use crate::cuda::{Cuda, Form, Memory, Rows};
use crate::error::Result;
use crate::gguf::{TensorType, quantised};
use crate::llama::config::LlamaConfig;
use crate::llama::options::LlamaOptions;
use crate::llama::weights::{Names, Source, Stored, tied};
use candle_core::DType;
use half::{bf16, f16};
use rayon::prelude::*;

/// Weights of a layer.
pub(super) struct Layer {
    pub(super) attention_norm: Memory,
    /// Queries, keys and values.
    pub(super) qkv: Rows,
    pub(super) output: Rows,
    pub(super) mlp_norm: Memory,
    /// Gates, then what they let pass.
    pub(super) gate_up: Rows,
    pub(super) down: Rows,
}

/// All of them.
pub(super) struct Net {
    pub(super) embedding: Rows,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Memory,
    /// Where it is not the embedding.
    pub(super) head: Option<Rows>,
}

/// How matrices are kept: as what, where that is asked for, and the type of all else.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    keep: Option<TensorType>,
    pub(super) dtype: DType,
}

impl Kept {
    /// What follows from what is asked for and from how matrices are stored.
    ///
    /// # Errors
    /// [`crate::Error::Request`]: what no GPU kernel here takes.
    pub(super) fn of(options: &LlamaOptions, c: &LlamaConfig, stored: TensorType) -> Result<Self> {
        options.fit(Accelerator::Cuda, c, stored)?;
        let dtype = match options.weights.unwrap_or(stored) {
            TensorType::F16 => DType::F16,
            _ => DType::BF16,
        };
        Ok(Self { keep: options.weights, dtype })
    }

    fn form(self, stored: TensorType) -> Form {
        match self.keep.unwrap_or(stored) {
            TensorType::Q8_0 => Form::Bytes,
            TensorType::Q4_0 | TensorType::Q4_1 => Form::Nibbles,
            _ => Form::Plain,
        }
    }
}

/// Numbers as bytes of a 16-bit type.
fn plain(dtype: DType, values: &[f32], to: &mut [u8]) {
    for (value, to) in values.iter().zip(to.as_chunks_mut::<2>().0) {
        *to = match dtype {
            DType::F16 => f16::from_f32(*value).to_le_bytes(),
            _ => bf16::from_f32(*value).to_le_bytes(),
        };
    }
}

/// Loads matrices of rows of `inner` numbers as one, below each other.
fn rows(
    cuda: &Cuda,
    source: &impl Source,
    kept: Kept,
    inner: usize,
    parts: &[(&str, usize, Option<usize>)],
) -> Result<Rows> {
    let parts: Vec<(Stored<'_>, usize)> = parts
        .iter()
        .map(|(name, columns, heads)| Ok((source.stored(name, *columns, inner, *heads)?, *columns)))
        .collect::<Result<_>>()?;
    let count: usize = parts.iter().map(|(_, rows)| rows).sum();
    let mut forms = parts.iter().map(|(stored, _)| kept.form(stored.of));
    let first = forms.next().unwrap_or(Form::Plain);
    // Parts that lie differently are widened.
    let form = if forms.all(|form| form == first) && inner.is_multiple_of(32) { first } else { Form::Plain };
    let row = match form {
        Form::Plain => 2 * inner,
        Form::Bytes => inner,
        Form::Nibbles => inner / 2,
    };
    let groups = if form == Form::Plain { 0 } else { inner / 32 };
    let (mut numbers, mut scales, mut shifts) =
        (vec![0; count * row], vec![0; count * groups * 2], vec![0; count * groups * 2]);
    let part = |mut index: usize| {
        let mut at = 0;
        while index >= parts[at].1 {
            index -= parts[at].1;
            at += 1;
        }
        (&parts[at].0, index)
    };
    if form == Form::Plain {
        numbers.par_chunks_exact_mut(row).enumerate().for_each_init(
            || vec![0f32; inner],
            |values, (index, to)| {
                let (stored, index) = part(index);
                match (stored.of, kept.dtype) {
                    (TensorType::F16, DType::F16) | (TensorType::Bf16, DType::BF16) => {
                        to.copy_from_slice(stored.row(index));
                    }
                    _ => {
                        stored.of.row(stored.row(index), values);
                        plain(kept.dtype, values, to);
                    }
                }
            },
        );
    } else {
        let all = numbers.par_chunks_exact_mut(row).zip(scales.par_chunks_exact_mut(groups * 2));
        all.zip(shifts.par_chunks_exact_mut(groups * 2)).enumerate().for_each_init(
            || vec![0f32; inner],
            |values, (index, ((numbers, scales), shifts))| {
                let (stored, index) = part(index);
                let wanted = kept.keep.unwrap_or(stored.of);
                stored.of.row(stored.row(index), values);
                for group in 0..groups {
                    let made = match wanted == stored.of {
                        true => stored.of.group(stored.row(index), group),
                        false => {
                            let values: &[f32; 32] = &values.as_chunks().0[group];
                            quantised(wanted, values).expect("a quantisation that is made")
                        }
                    };
                    // Four bits from −8 are four from 0 and a shift of −8 scales, exact in f16 as well.
                    let low = if wanted == TensorType::Q4_0 { -8i8 } else { 0 };
                    let shift = made.shift + f32::from(low) * made.scale;
                    scales[2 * group..][..2].copy_from_slice(&f16::from_f32(made.scale).to_le_bytes());
                    shifts[2 * group..][..2].copy_from_slice(&f16::from_f32(shift).to_le_bytes());
                    let number = |i: usize| made.numbers[i].wrapping_sub(low) as u8;
                    if form == Form::Bytes {
                        (0..32).for_each(|i| numbers[32 * group + i] = number(i));
                    } else {
                        (0..16).for_each(|i| numbers[16 * group + i] = number(i) | number(i + 16) << 4);
                    }
                }
            },
        );
    }
    let on_card = |bytes: &[u8], is: bool| is.then(|| cuda.upload(bytes)).transpose();
    Ok(Rows {
        form,
        rows: count,
        inner,
        numbers: cuda.upload(&numbers)?,
        scales: on_card(&scales, form != Form::Plain)?,
        shifts: on_card(&shifts, form == Form::Nibbles)?,
    })
}

/// Numbers as they are.
pub(super) fn floats(cuda: &Cuda, values: &[f32]) -> Result<Memory> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(cuda.upload(&bytes)?)
}

/// Loads a model.
pub(super) fn load(
    cuda: &Cuda,
    source: &impl Source,
    names: &Names,
    c: &LlamaConfig,
    kept: Kept,
) -> Result<Net> {
    let (wide, narrow) = (c.heads * c.head_width, c.kv_heads * c.head_width);
    let one = |name: &str, columns, inner| rows(cuda, source, kept, inner, &[(name, columns, None)]);
    let norm = |name: &str| floats(cuda, &source.vector(name, c.width)?);
    let layer = |i: usize| -> Result<Layer> {
        let name = |n: &str| format!("{}.{i}.{n}", names.layer);
        let [query, key, value] = [names.query, names.key, names.value].map(name);
        let [gate, up] = [names.gate, names.up].map(name);
        let (q, k, v) =
            ((&*query, wide, Some(c.heads)), (&*key, narrow, Some(c.kv_heads)), (&*value, narrow, None));
        let (gate, up) = ((&*gate, c.inner_width, None), (&*up, c.inner_width, None));
        Ok(Layer {
            attention_norm: norm(&name(names.attention_norm))?,
            qkv: rows(cuda, source, kept, c.width, &[q, k, v])?,
            output: one(&name(names.output), c.width, wide)?,
            mlp_norm: norm(&name(names.mlp_norm))?,
            gate_up: rows(cuda, source, kept, c.width, &[gate, up])?,
            down: one(&name(names.down), c.width, c.inner_width)?,
        })
    };
    Ok(Net {
        embedding: one(names.embedding, c.vocabulary, c.width)?,
        layers: (0..c.layers).map(layer).collect::<Result<_>>()?,
        norm: norm(names.norm)?,
        head: (!tied(source, names, c)).then(|| one(names.head, c.vocabulary, c.width)).transpose()?,
    })
}
