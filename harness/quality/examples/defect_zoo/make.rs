//! Makes a specimen's pictures.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use edgemaxx_candle::derive::{Recipe, Storage, derive};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, GenerateRequest, LoadOptions, Pipeline};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::noise::torch_randn;
use edgemaxx_picture::Picture;
use safetensors::tensor::TensorView;

use crate::pixels;
use crate::zoo::{Answers, Change, Make, Settings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes pictures of the tiny SDXL, 20 steps at guidance 5.
pub(crate) struct Maker<'a> {
    root: PathBuf,
    prompts: &'a [&'a str],
    seed: u64,
    baseline: Vec<Picture>,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(root: PathBuf, prompts: &'a [&'a str], seed: u64) -> Result<Self> {
        let mut maker = Self { root, prompts, seed, baseline: Vec::new() };
        maker.baseline = maker.generate(&maker.root, &Settings::default())?;
        Ok(maker)
    }

    pub(crate) fn baseline(&self) -> &[Picture] {
        &self.baseline
    }

    pub(crate) fn make(&self, make: &Make) -> Result<Vec<Picture>> {
        let n = self.baseline.len();
        let take = |of: &dyn Fn(usize) -> usize| Ok((0..n).map(|i| self.baseline[of(i)].clone()).collect());
        match make {
            Make::Generate(settings) => self.generate(&self.root, settings),
            Make::Weights(change) => {
                let dir = tempfile::tempdir()?;
                let root = dir.path().join("checkpoint");
                self.change(change, &root)?;
                self.generate(&root, &Settings::default())
            }
            Make::Answers(Answers::Shuffled) => take(&|i| (i + 1) % n),
            Make::Answers(Answers::First) => take(&|_| 0),
            Make::Answers(Answers::EveryFourthCached) => take(&|i| if i % 4 == 3 { i - 1 } else { i }),
            Make::Pixels(defect) => {
                let answers = self.baseline.iter().enumerate().map(|(i, p)| pixels::apply(p, defect, i));
                Ok(answers.collect::<std::result::Result<_, _>>()?)
            }
        }
    }

    fn generate(&self, root: &Path, settings: &Settings) -> Result<Vec<Picture>> {
        let dtype = match settings.dtype {
            None | Some(Dtype::F32) => DType::F32,
            Some(Dtype::F16) => DType::F16,
            Some(Dtype::Bf16) => DType::BF16,
        };
        let source = CheckpointSource { root: root.to_owned(), unet: None };
        let options = LoadOptions { dtype, threads: settings.threads, ..LoadOptions::default() };
        let pipeline = Pipeline::load(&source, &options)?;
        let (width, height) = (64, 64);
        let len = pipeline.latent_shape(width, height)?.iter().product();
        let one = |(i, prompt): (usize, &&str)| -> Result<Picture> {
            let seed = self.seed * 10_000 + i as u64 + settings.seed_offset;
            let request = GenerateRequest {
                prompt: (*prompt).to_owned(),
                negative_prompt: None,
                latents: torch_randn(seed, len),
                seed,
                steps: settings.steps.unwrap_or(20),
                guidance_scale: settings.guidance_scale.unwrap_or(5.0),
                width,
                height,
            };
            let picture = pipeline.generate(&request, None)?;
            Ok(Picture::from_rgb(picture.width as u32, picture.height as u32, picture.rgb)?)
        };
        self.prompts.iter().enumerate().map(one).collect()
    }

    fn change(&self, change: &Change, out: &Path) -> Result<()> {
        let source = CheckpointSource { root: self.root.clone(), unet: None };
        let storage = matches!(change, Change::Int8).then_some(Storage::Int8);
        derive(&source, &Recipe { storage, noise: None }, out)?;
        match change {
            Change::Int8 => Ok(()),
            Change::Noise { component, sigma } => rewrite(out, component, &|_, index, values| {
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
                let noise = torch_randn(77 + index, values.len());
                values.iter_mut().zip(noise).for_each(|(v, z)| *v += sigma * variance.sqrt() * z);
            }),
            Change::Prune { component, share } => rewrite(out, component, &|_, _, values| {
                let mut sizes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                sizes.sort_by(f32::total_cmp);
                let cut = sizes[(sizes.len() as f64 * share) as usize];
                values.iter_mut().filter(|v| v.abs() < cut).for_each(|v| *v = 0.0);
            }),
            Change::SwapVocabulary => rewrite(out, "text_encoder", &|name, _, values| {
                if name.ends_with("token_embedding.weight") {
                    values.rotate_left(96 * 100);
                }
            }),
        }
    }
}

/// Rewrites a component's matrices in f32; `change` gets name, position and values.
fn rewrite(root: &Path, component: &str, change: &dyn Fn(&str, u64, &mut [f32])) -> Result<()> {
    let dir = root.join(component);
    let stem = if component.starts_with("text_encoder") { "model" } else { "diffusion_pytorch_model" };
    let weights = Weights::open_dir(&dir, stem, DType::F32, &Device::Cpu)?;
    let mut tensors = BTreeMap::new();
    for (index, name) in weights.names().enumerate() {
        let shape = weights.info(name).ok_or("a tensor that is listed")?.1.to_vec();
        let mut values = weights.values(&shape, name)?;
        if shape.len() > 1 {
            change(name, index as u64, &mut values);
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.insert(name.to_owned(), (shape, bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>>>()?;
    // The file may be a hard link to the fixture: it is replaced, never written into.
    let path = dir.join(format!("{stem}.safetensors"));
    drop(weights);
    std::fs::remove_file(&path)?;
    safetensors::serialize_to_file(views, None, &path)?;
    Ok(())
}
