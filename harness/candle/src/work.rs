//! What any engine must compute and read for an answer, by a checkpoint's tensors: the floor that no honest answer lies
//! below. Layers are recognised by their names and shapes alone; what is not recognised is left out.
use crate::Accelerator;
use crate::error::Result;
use crate::llama::{LlamaConfig, LlamaOptions, checkpoint, look};
use crate::pipeline::CheckpointSource;
use crate::unet::{Replacement, UNetConfig};
use crate::vae::VaeConfig;
use crate::weights::Weights;
use candle_core::{DType, Device};
use edgemaxx_contract::floor::{Part, Passes};
use std::path::Path;

/// Tokens of a prompt as SDXL's text encoders read it, padded.
const PROMPT: u64 = 77;

/// A picture that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Passes of the UNet.
    pub steps: u32,
    /// Whether each of them is made with and without the prompt.
    pub guided: bool,
    /// Bytes of a number as the pipeline says it computes.
    pub bytes: u64,
}

/// Operations and weights that add up.
#[derive(Default)]
struct Sum {
    flops: u64,
    conv_flops: u64,
    /// Bytes of weights.
    bytes: u64,
}

impl Sum {
    /// A matrix or a convolution applied at so many places.
    fn add(&mut self, matrix: &Matrix, places: u64) {
        let shape = &matrix.shape;
        let numbers: u64 = shape.iter().map(|&side| side as u64).product();
        self.flops += 2 * numbers * places;
        if shape.ends_with(&[3, 3]) {
            self.conv_flops += 2 * numbers * places;
        }
        self.bytes += numbers * matrix.bytes;
    }

    fn part(self, name: &str, passes: u32, times: u64) -> Part {
        Part {
            name: name.to_owned(),
            passes: Passes::Each(passes),
            flops: self.flops * times,
            conv_flops: self.conv_flops * times,
            bytes: self.bytes,
            at_once: 1,
        }
    }
}

/// A matrix or a convolution of a component.
struct Matrix {
    name: String,
    shape: Vec<usize>,
    /// Of each of its numbers, as it is stored or computed with, whichever is less.
    bytes: u64,
}

/// All matrices and convolutions of a component whose numbers are computed with in so many bytes.
fn matrices(weights: &Weights, bytes: u64) -> Vec<Matrix> {
    let matrix = |name: &str| {
        let (dtype, shape) = weights.info(name)?;
        let bytes = bytes.min(dtype.bitsize() as u64 / 8).max(1);
        Some(Matrix { name: name.to_owned(), shape: shape.to_vec(), bytes })
    };
    let all = weights.names().filter(|name| name.ends_with(".weight")).filter_map(matrix);
    all.filter(|matrix| matrix.shape.len() == 2 || matrix.shape.len() == 4).collect()
}

fn open(folder: &Path, stem: &str) -> Result<Weights> {
    Weights::open_dir(folder, stem, DType::F32, &Device::Cpu)
}

/// The number behind `word` in a dotted name: `down_blocks.1.…` is block 1.
fn index(name: &str, word: &str) -> Option<usize> {
    let rest = name.split_once(word)?.1.strip_prefix('.')?;
    rest.split('.').next()?.parse().ok()
}

/// What a picture takes with a checkpoint in the diffusers layout: its text encoders once, the UNet for each step, the
/// VAE's decoder.
///
/// # Errors
/// A configuration or the names of tensors cannot be read.
pub fn of_picture(source: &CheckpointSource, asked: &Asked) -> Result<Vec<Part>> {
    let vae = source.root.join("vae");
    let decoder = VaeConfig::read(&vae.join("config.json"))?;
    let factor = decoder.factor() as u64;
    let latents = (u64::from(asked.height) / factor, u64::from(asked.width) / factor);
    let mut text = Sum::default();
    for encoder in ["text_encoder", "text_encoder_2"].map(|name| source.root.join(name)) {
        add_text(&mut text, &matrices(&open(&encoder, "model")?, asked.bytes));
    }
    let unet = Replacement::of(&source.root, source.unet.as_deref());
    let config = UNetConfig::read(&unet.folder().join("config.json"))?;
    let unet = matrices(&unet.open(DType::F32, &Device::Cpu)?, asked.bytes);
    let mut step = Sum::default();
    add_unet(&mut step, &unet, config.levels.len(), latents);
    let mut decoding = Sum::default();
    let vae = matrices(&open(&vae, "diffusion_pytorch_model")?, asked.bytes);
    add_decoder(&mut decoding, &vae, decoder.block_out_channels.len(), latents);
    // A UNet that takes the guidance scale as an input is asked once.
    let branches = if asked.guided && config.guidance_embed.is_none() { 2 } else { 1 };
    Ok(vec![
        text.part("text encoders", 1, 1),
        step.part("UNet", asked.steps, branches),
        decoding.part("VAE decoder", 1, 1),
    ])
}

/// One prompt through all layers but the last, which SDXL does not read.
fn add_text(sum: &mut Sum, matrices: &[Matrix]) {
    let layer = |matrix: &Matrix| index(&matrix.name, "encoder.layers");
    let last = matrices.iter().filter_map(layer).max();
    for matrix in matrices {
        if layer(matrix).is_some_and(|layer| Some(layer) != last) {
            sum.add(matrix, PROMPT);
        }
    }
}

/// One pass over one picture's latents. What depends on the step or on the prompt alone can be kept, and is left out.
fn add_unet(sum: &mut Sum, matrices: &[Matrix], levels: usize, (height, width): (u64, u64)) {
    let places = |level: usize| (height >> level).max(1) * (width >> level).max(1);
    for matrix in matrices {
        let name = &matrix.name;
        let kept = ["time_emb", "add_embedding", "attn2.to_k", "attn2.to_v"];
        if kept.iter().any(|word| name.contains(word)) {
            continue;
        }
        let (down, up) = (index(name, "down_blocks"), index(name, "up_blocks"));
        if is_of_none(down.max(up), levels) {
            continue;
        }
        let level = match (down, up) {
            (Some(block), _) => block + usize::from(name.contains("downsamplers")),
            (_, Some(block)) => {
                (levels - 1).saturating_sub(block).saturating_sub(usize::from(name.contains("upsamplers")))
            }
            _ if name.starts_with("mid_block") => levels - 1,
            _ => 0,
        };
        let places = places(level);
        sum.add(matrix, places);
        // Every query against every key, and every weight with every value.
        let width = matrix.shape[0] as u64;
        if name.ends_with("attn1.to_q.weight") {
            sum.flops += 4 * places * places * width;
        } else if name.ends_with("attn2.to_q.weight") {
            sum.flops += 4 * places * PROMPT * width;
        }
    }
}

/// Whether a block is none of the configuration's levels: nothing is computed with its tensors.
fn is_of_none(block: Option<usize>, levels: usize) -> bool {
    block.is_some_and(|block| block >= levels)
}

/// One picture through the decoder.
fn add_decoder(sum: &mut Sum, matrices: &[Matrix], levels: usize, (height, width): (u64, u64)) {
    for matrix in matrices {
        let name = &matrix.name;
        let level = match index(name, "decoder.up_blocks") {
            block if is_of_none(block, levels) => continue,
            Some(block) => block + usize::from(name.contains("upsamplers")),
            None if name.starts_with("decoder.conv_out") => levels - 1,
            None if name.starts_with("decoder.") => 0,
            None => continue,
        };
        let places = (height << level) * (width << level);
        sum.add(matrix, places);
        if name.ends_with("to_q.weight") || name.ends_with("query.weight") {
            sum.flops += 4 * places * places * matrix.shape[0] as u64;
        }
    }
}

/// A text that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct AskedText {
    /// Tokens of the prompt, of the shortest.
    pub prompt: u64,
    /// Bits of a weight as the pipeline says it keeps them; `None`: as the file has them.
    pub bits: Option<u64>,
    /// Tokens that are checked in one pass at most, as the pipeline says.
    pub at_once: u32,
}

/// What a text takes with a checkpoint of LLaMA's layout: the prompt in one pass, then each token but the first.
///
/// # Errors
/// The configuration cannot be read.
pub fn of_text(folder: &Path, asked: &AskedText) -> Result<Vec<Part>> {
    let config = look(folder, Accelerator::Cpu, &LlamaOptions::default())?;
    let of = Layers::of(&config);
    let bytes = match asked.bits {
        Some(bits) => of.all() * bits / 8,
        None => stored(&checkpoint(folder)?).min(of.all() * 4),
    };
    let part = |name: &str, passes, flops, at_once| Part {
        name: name.to_owned(),
        passes,
        flops,
        conv_flops: 0,
        bytes,
        at_once,
    };
    // Of the last layer only keys and values are needed of all tokens but the last.
    let first = asked.prompt * of.layer * of.layers.saturating_sub(1)
        + asked.prompt * of.keys_and_values
        + (of.layer - of.keys_and_values)
        + of.head;
    Ok(vec![
        part("prompt", Passes::Each(1), 2 * first, 1),
        part("further tokens", Passes::FurtherUnits, 2 * of.all(), asked.at_once),
    ])
}

/// Numbers of a language model's matrices.
struct Layers {
    layers: u64,
    layer: u64,
    keys_and_values: u64,
    head: u64,
}

impl Layers {
    fn of(config: &LlamaConfig) -> Self {
        let number = |value: usize| value as u64;
        let width = number(config.width);
        let keys_and_values = 2 * width * number(config.kv_heads * config.head_width);
        let queries_and_out = 2 * width * number(config.heads * config.head_width);
        Self {
            layers: number(config.layers),
            layer: keys_and_values + queries_and_out + 3 * width * number(config.inner_width),
            keys_and_values,
            head: width * number(config.vocabulary),
        }
    }

    fn all(&self) -> u64 {
        self.layers * self.layer + self.head
    }
}

/// Bytes of the weights' files, of a folder or a file.
fn stored(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    if !path.is_dir() {
        return size(path);
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).map(|path| size(&path)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models").join(name)
    }

    #[test]
    fn layers_count_at_the_places_where_they_are_applied() {
        let mut sum = Sum::default();
        let shapes = [
            ("conv_in.weight", vec![8, 4, 3, 3]),
            ("down_blocks.0.downsamplers.0.conv.weight", vec![8, 8, 3, 3]),
            ("down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight", vec![16, 16]),
            ("up_blocks.0.upsamplers.0.conv.weight", vec![8, 8, 3, 3]),
            ("up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight", vec![16, 77]),
            ("time_embedding.linear_1.weight", vec![32, 8]),
            // of levels that the configuration does not have
            ("down_blocks.99.resnets.0.conv1.weight", vec![8, 8, 3, 3]),
            ("up_blocks.18446744073709551615.upsamplers.0.conv.weight", vec![8, 8, 3, 3]),
        ];
        let shapes = shapes.map(|(name, shape)| Matrix { name: name.to_owned(), shape, bytes: 2 });
        add_unet(&mut sum, &shapes, 2, (8, 8));
        let (fine, coarse) = (64, 16);
        let convs = 2 * (8 * 4 * 9 * fine + 8 * 8 * 9 * coarse + 8 * 8 * 9 * fine);
        assert_eq!(sum.conv_flops, convs);
        assert_eq!(sum.flops, convs + 2 * 16 * 16 * coarse + 4 * coarse * coarse * 16);
        assert_eq!(sum.bytes, 2 * (8 * 4 * 9 + 2 * 8 * 8 * 9 + 16 * 16));
        let mut sum = Sum::default();
        let shapes =
            ["decoder.up_blocks.1.resnets.0.conv1.weight", "decoder.up_blocks.99.resnets.0.conv1.weight"];
        let shapes = shapes.map(|name| Matrix { name: name.to_owned(), shape: vec![8, 8, 3, 3], bytes: 2 });
        add_decoder(&mut sum, &shapes, 2, (8, 8));
        assert_eq!(sum.flops, 2 * 8 * 8 * 9 * 16 * 16);
    }

    #[test]
    fn steps_guidance_and_precision_scale_the_work() {
        let source = CheckpointSource { root: models("emoji-sdxl"), unet: None };
        let asked = Asked { width: 64, height: 64, steps: 20, guided: true, bytes: 4 };
        let parts = of_picture(&source, &asked).unwrap();
        let half = of_picture(&source, &Asked { steps: 10, guided: false, bytes: 2, ..asked }).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.flops > 0 && part.conv_flops <= part.flops), "{parts:?}");
        assert_eq!((parts[1].passes, half[1].passes), (Passes::Each(20), Passes::Each(10)));
        assert_eq!(parts[1].flops, 2 * half[1].flops);
        assert!(half[1].bytes <= parts[1].bytes && half[1].bytes > 0);
        assert_eq!(parts[2].flops, half[2].flops);
    }

    #[test]
    fn a_model_that_takes_the_guidance_scale_is_asked_once_a_step() {
        let (own, folder) = (models("emoji-sdxl/unet"), tempfile::tempdir().unwrap());
        let weights = "diffusion_pytorch_model.safetensors";
        std::fs::copy(own.join(weights), folder.path().join(weights)).unwrap();
        let config = std::fs::read_to_string(own.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["time_cond_proj_dim"] = 256.into();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let plain = CheckpointSource { root: models("emoji-sdxl"), unet: None };
        let distilled = CheckpointSource { unet: Some(folder.path().to_path_buf()), ..plain.clone() };
        let asked = Asked { width: 64, height: 64, steps: 4, guided: true, bytes: 4 };
        let unet = |source: &CheckpointSource, asked: &Asked| of_picture(source, asked).unwrap()[1].flops;
        assert_eq!(unet(&distilled, &asked), unet(&plain, &Asked { guided: false, ..asked }));
    }

    #[test]
    fn a_text_takes_two_operations_for_each_weight_and_token() {
        let asked = AskedText { prompt: 1, bits: None, at_once: 1 };
        let [prompt, further] =
            <[Part; 2]>::try_from(of_text(&models("stories-llama"), &asked).unwrap()).unwrap();
        assert_eq!(prompt.flops, further.flops, "one token is one token");
        let long =
            of_text(&models("stories-llama"), &AskedText { prompt: 9, bits: Some(4), at_once: 5 }).unwrap();
        assert!(long[0].flops > 5 * prompt.flops && long[0].flops < 9 * prompt.flops);
        assert_eq!((long[1].flops, long[1].at_once), (further.flops, 5));
        assert!(long[1].bytes < further.bytes);
    }
}
