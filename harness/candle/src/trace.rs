//! Intermediate tensors of one generation, for comparison with other implementations.
use crate::error::Result;
use crate::write_tensors::{self, Entry};
use candle_core::{DType, Tensor};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::path::Path;

/// Named f32 tensors in the layouts diffusers uses (`[batch, channels, h, w]` for latents, `[h, w, 3]` from 0 to 1 for
/// `image_hwc`): `initial_latents`, `prompt_embeds`, `pooled_prompt_embeds`, with guidance also
/// `negative_prompt_embeds` and `negative_pooled_prompt_embeds`, `unet_first_input`, `unet_first_output` (with
/// guidance the unconditional one first), `final_latents`, `image_hwc`.
#[derive(Debug, Default)]
pub struct Trace {
    tensors: BTreeMap<String, Tensor>,
}

impl Trace {
    /// An empty trace.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(k, v)| (k.as_str(), v))
    }

    pub(crate) fn put(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let tensor = tensor.to_dtype(DType::F32)?.contiguous()?.to_device(&candle_core::Device::Cpu)?;
        self.tensors.insert(name.to_string(), tensor);
        Ok(())
    }

    /// Writes all tensors to one safetensors file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let entry = |(name, t): (&String, &Tensor)| Entry {
            name: name.clone(),
            dtype: Dtype::F32,
            shape: t.dims().to_vec(),
        };
        write_tensors::write(path, self.tensors.iter().map(entry).collect(), None, |e| {
            let values = self.tensors[&e.name].flatten_all()?.to_vec1::<f32>()?;
            Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
    }
}
