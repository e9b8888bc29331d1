//! Pruning by layers: the last transformer layers of every attention of a UNet are left out, as distilled SDXLs do.
//! It is faster for certain and worse for certain; training afterwards can make up for some of it.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::weights::{Weights, component_files};
use crate::write_tensors::{self, Entry};
use candle_core::{DType, Device};
use serde_json::Value;
use std::path::Path;

const STEM: &str = "diffusion_pytorch_model";
const FIELD: &str = "transformer_layers_per_block";
/// Where a layer's number stands in a tensor's name.
const LAYERS: &str = ".transformer_blocks.";

/// Keeps at most `keep` transformer layers per attention of the checkpoint in `root`, rewriting its UNet in place; the
/// number of tensors left out. The same input gives the same bytes.
///
/// # Errors
/// When nothing would change, `keep` is 0, or the UNet cannot be read or written.
pub fn prune_layers(root: &Path, keep: usize) -> Result<usize> {
    let folder = root.join("unet");
    let config_path = folder.join("config.json");
    let mut config: serde_json::Map<String, Value> = read_json(&config_path)?;
    let layers = config.get(FIELD).cloned().unwrap_or(Value::from(1));
    let capped = cap(&layers, keep).filter(|capped| keep > 0 && *capped != layers).ok_or_else(|| {
        Error::config(
            &config_path,
            FIELD,
            layers.to_string(),
            "numbers of layers, some above what is kept (at least 1)",
        )
    })?;
    let files = component_files(&folder, STEM)?;
    let weights = Weights::open_files(files.clone(), DType::F32, &Device::Cpu)?;
    let all: Vec<&str> = weights.names().collect();
    let kept = all.iter().filter(|name| layer(name).is_none_or(|n| n < keep));
    let entries: Vec<Entry> = kept
        .filter_map(|name| {
            let (dtype, shape) = weights.info(name)?;
            Some(Entry { name: (*name).to_owned(), dtype, shape: shape.to_vec() })
        })
        .collect();
    let removed = all.len() - entries.len();
    let int8 = entries.iter().any(|e| e.dtype == safetensors::Dtype::I8);
    let note = int8.then_some(("edgemaxx.quantization", "int8-per-channel"));
    let part = folder.join(format!(".{STEM}.part"));
    write_tensors::write(&part, entries, note, |e| {
        Ok(weights.bytes_of(&e.name).unwrap_or_default().to_vec())
    })?;
    drop(weights);
    // Links to the source's files and shards go; the one file takes their place.
    for file in std::fs::read_dir(&folder).map_err(Error::io(&folder))?.flatten().map(|e| e.path()) {
        if files.contains(&file) || file.to_string_lossy().ends_with(".index.json") {
            std::fs::remove_file(&file).map_err(Error::io(&file))?;
        }
    }
    let target = folder.join(format!("{STEM}.safetensors"));
    std::fs::rename(&part, &target).map_err(Error::io(&target))?;
    config.insert(FIELD.to_owned(), capped);
    let text = serde_json::to_string_pretty(&config).unwrap_or_default() + "\n";
    std::fs::write(&config_path, text).map_err(Error::io(&config_path))?;
    Ok(removed)
}

/// The same numbers (one, one per block, or one per attention), none above `keep`.
fn cap(value: &Value, keep: usize) -> Option<Value> {
    match value {
        Value::Number(n) => Some(Value::from(n.as_u64()?.min(keep as u64))),
        Value::Array(list) => list.iter().map(|v| cap(v, keep)).collect::<Option<Vec<_>>>().map(Value::from),
        _ => None,
    }
}

/// Which transformer layer of its attention a tensor belongs to.
fn layer(name: &str) -> Option<usize> {
    name.split_once(LAYERS)?.1.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::{Recipe, derive};
    use crate::pipeline::CheckpointSource;

    /// The fixture with every transformer layer doubled: pruned to one layer it is the fixture again.
    #[test]
    fn a_doubled_unet_is_pruned_to_the_original() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-sdxl");
        let folder = tempfile::tempdir().expect("tempdir");
        let out = folder.path().join("double");
        derive(&CheckpointSource { root: root.clone(), unet: None }, &Recipe::default(), &out)
            .expect("derive");
        let unet = out.join("unet");
        let file = unet.join(format!("{STEM}.safetensors"));
        let weights = Weights::open_dir(&root.join("unet"), STEM, DType::F32, &Device::Cpu).expect("unet");
        let mut entries = Vec::new();
        for name in weights.names() {
            let (dtype, shape) = weights.info(name).expect("info");
            let copy =
                layer(name).map(|_| name.replacen(".transformer_blocks.0.", ".transformer_blocks.1.", 1));
            for name in std::iter::once(name.to_owned()).chain(copy) {
                entries.push(Entry { name, dtype, shape: shape.to_vec() });
            }
        }
        let doubled = entries.len() - weights.names().count();
        assert!(doubled > 50);
        std::fs::remove_file(&file).expect("the link");
        write_tensors::write(&file, entries, None, |e| {
            let name = e.name.replacen(".transformer_blocks.1.", ".transformer_blocks.0.", 1);
            Ok(weights.bytes_of(&name).expect("bytes").to_vec())
        })
        .expect("write");
        let config = std::fs::read_to_string(unet.join("config.json")).expect("config");
        let two = config
            .replace("\"transformer_layers_per_block\": 1", "\"transformer_layers_per_block\": [1, 2, 2]");
        std::fs::write(unet.join("config.json"), two).expect("config");

        assert_eq!(prune_layers(&out, 1).expect("prune"), doubled);
        let pruned = Weights::open_dir(&unet, STEM, DType::F32, &Device::Cpu).expect("pruned");
        assert!(pruned.names().eq(weights.names()));
        assert!(weights.names().all(|n| pruned.bytes_of(n) == weights.bytes_of(n)));
        let config: Value = read_json(&unet.join("config.json")).expect("config");
        assert_eq!(config[FIELD], serde_json::json!([1, 1, 1]));
        assert!(prune_layers(&out, 1).is_err(), "nothing is left to prune");
        assert!(prune_layers(&out, 0).is_err());
    }
}
