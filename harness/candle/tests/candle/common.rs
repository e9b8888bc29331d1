//! What the tests share: fixtures, generation, comparison.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses a part of it")]
use edgemaxx_candle::{CheckpointSource, DType, GenerateRequest, LoadOptions, Picture, Pipeline, Trace};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A request as the golden files describe it.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub seed: u64,
    pub steps: usize,
    pub guidance_scale: f64,
    #[serde(default = "side")]
    pub width: usize,
    #[serde(default = "side")]
    pub height: usize,
    #[serde(default)]
    pub student: bool,
    #[serde(default)]
    pub vae_tiling: bool,
}

fn side() -> usize {
    64
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

pub fn golden<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/candle/golden").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect(name)).expect(name)
}

pub fn teacher() -> CheckpointSource {
    CheckpointSource { root: fixtures().join("models/emoji-sdxl"), unet: None }
}

pub fn student() -> CheckpointSource {
    CheckpointSource { unet: Some(fixtures().join("models/emoji-sdxl-student/unet")), ..teacher() }
}

pub fn options(dtype: DType, threads: usize) -> LoadOptions {
    LoadOptions { dtype, threads: Some(threads), ..LoadOptions::default() }
}

pub fn load(source: &CheckpointSource, dtype: DType) -> Pipeline {
    Pipeline::load(source, &options(dtype, 2)).expect("pipeline")
}

pub fn request(pipeline: &Pipeline, case: &Case) -> GenerateRequest {
    let len = pipeline.latent_shape(case.width, case.height).expect("shape").iter().product();
    GenerateRequest {
        prompt: case.prompt.clone(),
        negative_prompt: case.negative_prompt.clone(),
        latents: edgemaxx_contract::noise::torch_randn(case.seed, len),
        seed: case.seed,
        steps: case.steps,
        guidance_scale: case.guidance_scale,
        width: case.width,
        height: case.height,
    }
}

pub fn generate(pipeline: &Pipeline, case: &Case) -> (Picture, Trace) {
    let mut trace = Trace::new();
    let picture = pipeline.generate(&request(pipeline, case), Some(&mut trace)).expect("picture");
    (picture, trace)
}

pub fn values(trace: &Trace, name: &str) -> Vec<f32> {
    trace.get(name).expect(name).flatten_all().and_then(|t| t.to_vec1()).expect(name)
}

/// ‖a − b‖ / ‖b‖
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(|i| f(i).powi(2)).sum::<f64>();
    (sum(&|i| f64::from(a[i]) - f64::from(b[i])) / sum(&|i| f64::from(b[i]))).sqrt()
}

/// Norm and every n-th value of a tensor, as `make.py` keeps them.
#[derive(Debug, Deserialize)]
pub struct Digest {
    pub shape: Vec<usize>,
    pub norm: f64,
    pub stride: usize,
    pub values: Vec<f32>,
}

impl Digest {
    /// The distance of the values that were kept, relative to their norm.
    pub fn distance(&self, got: &[f32]) -> f64 {
        let picked: Vec<f32> = got.iter().copied().step_by(self.stride).collect();
        distance(&picked, &self.values)
    }

    /// Asserts that `got` agrees within `limit`, relative to the norm.
    pub fn check(&self, what: &str, shape: &[usize], got: &[f32], limit: f64) {
        assert_eq!(self.shape, shape, "{what}");
        let norm = got.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((norm - self.norm).abs() <= limit * self.norm, "{what}: norm {norm}, not {}", self.norm);
        let d = self.distance(got);
        assert!(d <= limit, "{what}: {d:.2e} > {limit:.0e}");
    }
}
