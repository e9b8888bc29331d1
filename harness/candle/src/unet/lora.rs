//! Low-rank changes of a UNet (LoRA, Hu et al. 2021), merged when it is loaded: W + α/r · up·down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device};
use rayon::prelude::*;
use safetensors::Dtype;

use super::ldm;
use crate::error::{Error, Result};
use crate::weights::{Change, Weights};

/// How the two factors of a module are called, the one that is applied first before the other.
const FACTORS: [(&str, &str); 4] = [
    (".lora_A.weight", ".lora_B.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_down.weight", ".lora_up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
];

/// One module's change.
struct Factors {
    down: String,
    up: String,
    /// r
    rank: usize,
    /// α/r
    scale: f32,
}

/// The changes of a file, by the full names of the tensors that they are of.
pub(super) struct Lora {
    weights: Weights,
    changes: BTreeMap<String, Factors>,
}

/// Whether tensors of these names are a LoRA's.
pub(super) fn is_lora<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| FACTORS.iter().any(|(down, _)| name.ends_with(down)))
}

impl Lora {
    /// Reads the LoRA in a file for the UNet of `base`, in the names of diffusers (with or without PEFT) or of kohya's
    /// scripts; `layers` as in [`ldm::name_of`].
    ///
    /// # Errors
    /// A tensor of it is of no module of the UNet (one of a text encoder, say), is of another kind of change, has another
    /// shape, or is stored as what cannot be read.
    pub(super) fn open(path: &Path, base: &Weights, layers: &[usize]) -> Result<Self> {
        let weights = Weights::open_files(vec![path.to_path_buf()], DType::F32, &Device::Cpu)?;
        let mut unused: BTreeSet<&str> = weights.names().collect();
        let mut changes = BTreeMap::new();
        for name in base.names() {
            let Some((module, (_, shape))) = name.strip_suffix(".weight").zip(base.info(name)) else {
                continue;
            };
            if let Some((factors, used)) = factors(&weights, module, shape, layers)? {
                used.iter().for_each(|name| {
                    unused.remove(name.as_str());
                });
                changes.insert(name.to_string(), factors);
            }
        }
        if let Some(name) = unused.first() {
            return Err(Error::Damaged {
                path: path.to_path_buf(),
                message: format!(
                    "tensor `{name}` changes nothing of this UNet; expected a LoRA of the UNet alone, with a pair of factors \
                     for each of its modules"
                ),
            });
        }
        Ok(Self { weights, changes })
    }
}

/// The factors of a module, and the names of all tensors that they are made of.
fn factors(
    lora: &Weights,
    module: &str,
    shape: &[usize],
    layers: &[usize],
) -> Result<Option<(Factors, Vec<String>)>> {
    let kohya = |name: &str| format!("lora_unet_{}", name.replace('.', "_"));
    let ldm = ldm::name_of(&format!("{module}.weight"), layers);
    let ldm = ldm.as_deref().and_then(|name| name.strip_suffix(".weight"));
    // diffusers' attention processors: `attn1.to_out.0` is `attn1.processor.to_out`
    let processor =
        module.trim_end_matches(".0").rsplit_once('.').map(|(owner, own)| format!("{owner}.processor.{own}"));
    let mut prefixes = vec![format!("unet.{module}"), module.to_string(), kohya(module)];
    prefixes.extend(ldm.map(kohya));
    prefixes.extend(processor.iter().flat_map(|p| [format!("unet.{p}"), p.clone()]));
    let found = prefixes.iter().find_map(|prefix| {
        let (down, up) = FACTORS.iter().find(|(down, _)| lora.contains(&format!("{prefix}{down}")))?;
        Some((prefix, format!("{prefix}{down}"), format!("{prefix}{up}")))
    });
    let (Some((prefix, down, up)), [height, width @ ..]) = (found, shape) else { return Ok(None) };
    let refused = |message: String| Err(Error::Damaged { path: lora.path(), message });
    let rank = lora.info(&down).and_then(|(_, shape)| shape.first().copied()).unwrap_or_default();
    if rank == 0 {
        return refused(format!("tensor `{down}`: expected a rank of 1 or more, found 0"));
    }
    // a convolution's first factor has its window, the second one 1 × 1
    let window = vec![1; width.len().saturating_sub(1)];
    lora.check(&[&[rank], width].concat(), &down)?;
    lora.check(&[&[*height, rank], window.as_slice()].concat(), &up)?;
    let bytes = |name: &&String| lora.info(name).is_some_and(|(dtype, _)| dtype == Dtype::I8);
    let scales: Vec<String> =
        [&down, &up].into_iter().filter(bytes).map(|name| format!("{name}.scale")).collect();
    let mut used = vec![down.clone(), up.clone()];
    used.extend(scales);
    let alpha = format!("{prefix}.alpha");
    let scale = match lora.info(&alpha).map(|(_, shape)| shape.to_vec()) {
        Some(shape) if shape.iter().any(|side| *side != 1) => {
            return refused(format!("tensor `{alpha}`: expected one number, found shape {shape:?}"));
        }
        Some(shape) => {
            let value: f32 = lora.values(&shape, &alpha)?.into_iter().sum();
            used.push(alpha);
            value / rank as f32
        }
        None => 1.0,
    };
    Ok(Some((Factors { down, up, rank, scale }, used)))
}

impl Change for Lora {
    fn concerns(&self, name: &str) -> bool {
        self.changes.contains_key(name)
    }

    fn apply(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<()> {
        let Some(Factors { down, up, rank, scale }) = self.changes.get(name) else { return Ok(()) };
        let read = |name: &str| -> Result<Vec<f32>> {
            let shape = self.weights.info(name).map(|(_, shape)| shape.to_vec()).unwrap_or_default();
            self.weights.values(&shape, name)
        };
        let (down, up) = (read(down)?, read(up)?);
        let width: usize = shape[1..].iter().product();
        values.par_chunks_mut(width.max(1)).zip(up.par_chunks(*rank)).for_each(|(row, up)| {
            for (factor, down) in up.iter().zip(down.chunks(width.max(1))) {
                let factor = factor * scale;
                row.iter_mut().zip(down).for_each(|(value, down)| *value += factor * down);
            }
        });
        Ok(())
    }
}
