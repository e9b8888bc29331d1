//! The pipeline against fixtures/golden: four pictures by diffusers 0.42.1 in float32 (scripts/make-golden.py).
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{
    CheckpointSource, DType, Device, GenerateRequest, LoadOptions, Picture, Pipeline, Trace,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Case {
    name: String,
    prompt: String,
    negative_prompt: Option<String>,
    seed: u64,
    steps: usize,
    guidance_scale: f64,
    #[serde(default)]
    student: bool,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(fixtures().join("golden/cases.json")).expect("cases");
    serde_json::from_str(&text).expect("cases")
}

fn load(student: bool, dtype: DType, threads: usize) -> Pipeline {
    let models = fixtures().join("models");
    let source = CheckpointSource {
        root: models.join("emoji-sdxl"),
        unet: student.then(|| models.join("emoji-sdxl-student/unet")),
    };
    Pipeline::load(&source, &LoadOptions { dtype, device: Device::Cpu, threads: Some(threads), scheduler: None })
        .expect("pipeline")
}

fn generate(pipeline: &Pipeline, case: &Case) -> (Picture, Trace) {
    let len = pipeline.latent_shape(64, 64).expect("shape").iter().product();
    let request = GenerateRequest {
        prompt: case.prompt.clone(),
        negative_prompt: case.negative_prompt.clone(),
        latents: edgemaxx_contract::latents::torch_randn(case.seed, len),
        steps: case.steps,
        guidance_scale: case.guidance_scale,
        width: 64,
        height: 64,
    };
    let mut trace = Trace::new();
    let picture = pipeline.generate(&request, Some(&mut trace)).expect("picture");
    (picture, trace)
}

fn values(trace: &Trace, name: &str) -> Vec<f32> {
    trace.get(name).expect(name).flatten_all().and_then(|t| t.to_vec1()).expect(name)
}

/// ‖a − b‖ / ‖b‖
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(|i| f(i).powi(2)).sum::<f64>();
    (sum(&|i| f64::from(a[i]) - f64::from(b[i])) / sum(&|i| f64::from(b[i]))).sqrt()
}

/// Golden tensors of a case, checked for the shape of ours.
fn golden(case: &Case, trace: &Trace, name: &str) -> Vec<f32> {
    let path = fixtures().join(format!("golden/{}.safetensors", case.name));
    let file = Weights::open_files(vec![path], DType::F32, &Device::Cpu).expect("golden");
    file.values(trace.get(name).expect(name).dims(), name).expect(name)
}

#[test]
fn equals_diffusers() {
    let (teacher, student) = (load(false, DType::F32, 2), load(true, DType::F32, 2));
    for case in cases() {
        let (picture, trace) = generate(if case.student { &student } else { &teacher }, &case);
        let mut limits = vec![
            ("initial_latents", 1e-6),
            ("prompt_embeds", 1e-5),
            ("pooled_prompt_embeds", 1e-5),
            ("unet_first_input", 1e-5),
            ("unet_first_output", 1e-5),
            ("final_latents", 1e-4),
        ];
        if case.negative_prompt.is_some() {
            limits.extend([("negative_prompt_embeds", 1e-5), ("negative_pooled_prompt_embeds", 1e-5)]);
        }
        for (name, limit) in limits {
            let d = distance(&values(&trace, name), &golden(&case, &trace, name));
            assert!(d <= limit, "{} {name}: {d:.2e} > {limit:.0e}", case.name);
        }
        let (ours, theirs) = (values(&trace, "image_hwc"), golden(&case, &trace, "image_hwc"));
        let off = ours.iter().zip(&theirs).filter(|(a, b)| (*a - *b).abs() > 1.0 / 255.0).count();
        assert!(
            off * 1000 <= ours.len(),
            "{}: {off} of {} values differ by more than 1/255",
            case.name,
            ours.len()
        );
        let png = picture
            .rgb
            .iter()
            .zip(&theirs)
            .filter(|(a, b)| (f32::from(**a) - *b * 255.0).abs() > 1.0)
            .count();
        assert!(png * 1000 <= theirs.len(), "{}: {png} bytes differ by more than 1", case.name);
    }
}
