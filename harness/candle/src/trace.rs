//! Intermediate tensors of one generation, for comparison with other implementations.
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::collections::{BTreeMap, HashMap};
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
        let mut bytes = BTreeMap::new();
        for (name, t) in &self.tensors {
            let values = t.flatten_all()?.to_vec1::<f32>()?;
            bytes.insert(
                name,
                (t.dims().to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()),
            );
        }
        let fail = |e: safetensors::SafeTensorError| Error::Damaged {
            path: path.to_path_buf(),
            message: e.to_string(),
        };
        let mut views = Vec::new();
        for (name, (shape, data)) in &bytes {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data)
                .map_err(fail)?;
            views.push((name.as_str(), view));
        }
        let none: Option<HashMap<String, String>> = None;
        let file = safetensors::serialize(views, none).map_err(fail)?;
        std::fs::write(path, file).map_err(Error::io(path))
    }
}
