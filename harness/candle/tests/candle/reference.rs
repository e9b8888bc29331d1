//! Schedulers, sizes, prompts and another architecture against diffusers (`golden/make.py`).
use crate::common::{Case, Digest, generate, golden, options, teacher, values};
use edgemaxx_candle::derive::{Recipe, derive};
use edgemaxx_candle::unet::{UNet, UNetConfig};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, LoadOptions, Pipeline, Trace};
use edgemaxx_contract::noise::torch_randn;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

#[derive(Deserialize)]
struct Reference {
    #[serde(flatten)]
    case: Case,
    scheduler: Option<serde_json::Value>,
    times: Vec<f32>,
    prompt_embeds: Digest,
    pooled_prompt_embeds: Digest,
    final_latents: Digest,
    image_hwc: Digest,
}

#[test]
fn schedulers_sizes_and_prompts_equal_diffusers() {
    let cases: Vec<Reference> = golden("pipelines.json");
    assert_eq!(cases.len(), 13);
    let own = Pipeline::load(&teacher(), &options(DType::F32, 2)).expect("pipeline");
    for r in &cases {
        let name = &r.case.name;
        let (_, trace) = match &r.scheduler {
            None if r.case.vae_tiling => {
                let options = LoadOptions { vae_tiling: true, ..options(DType::F32, 2) };
                generate(&Pipeline::load(&teacher(), &options).expect("pipeline"), &r.case)
            }
            None => generate(&own, &r.case),
            Some(config) => {
                let dir = tempfile::tempdir().expect("tempdir");
                derive(&teacher(), &Recipe::default(), dir.path()).expect("copy");
                let path = dir.path().join("scheduler/scheduler_config.json");
                std::fs::write(&path, config.to_string()).expect("scheduler");
                let schedule =
                    edgemaxx_candle::schedule::ScheduleConfig::read(&path, None).expect("schedule");
                let schedule =
                    edgemaxx_candle::schedule::Schedule::new(&schedule, r.case.steps).expect("steps");
                for (ours, theirs) in schedule.times().iter().zip(&r.times) {
                    assert!((ours - theirs).abs() <= 1e-4, "{name}: time {ours}, not {theirs}");
                }
                assert_eq!(schedule.times().len(), r.times.len(), "{name}");
                let source = CheckpointSource { root: dir.path().to_path_buf(), unet: None };
                // The index of the copy still names the teacher's.
                let scheduler = config["_class_name"].as_str().map(str::to_string);
                let options = LoadOptions { scheduler, ..options(DType::F32, 2) };
                generate(&Pipeline::load(&source, &options).expect("pipeline"), &r.case)
            }
        };
        let check = |what: &str, want: &Digest, limit: f64| {
            let dims = trace.get(what).expect(what).dims();
            want.check(&format!("{name} {what}"), dims, &values(&trace, what), limit);
        };
        check("prompt_embeds", &r.prompt_embeds, 1e-5);
        check("pooled_prompt_embeds", &r.pooled_prompt_embeds, 1e-5);
        check("final_latents", &r.final_latents, 1e-4);
        check("image_hwc", &r.image_hwc, 1e-4);
    }
}

#[derive(Deserialize)]
struct Architecture {
    config: serde_json::Value,
    tensors: BTreeMap<String, Vec<usize>>,
    output: Digest,
}

/// Weights that `make.py` draws from PyTorch's generator, drawn again.
fn draw(tensors: &BTreeMap<String, Vec<usize>>) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let value = |name: &str, shape: &[usize], z: f32| {
        if shape.len() > 1 {
            f64::from(z) / (shape[1..].iter().product::<usize>() as f64).sqrt()
        } else if name.contains("norm") && name.ends_with("weight") {
            1.0 + 0.1 * f64::from(z)
        } else {
            0.05 * f64::from(z)
        }
    };
    let one = |(i, (name, shape)): (usize, (&String, &Vec<usize>))| {
        let z = torch_randn(1000 + i as u64, shape.iter().product());
        let bytes = z.iter().flat_map(|z| (value(name, shape, *z) as f32).to_le_bytes()).collect();
        (name.clone(), shape.clone(), bytes)
    };
    tensors.iter().enumerate().map(one).collect()
}

/// Different depth, heads and layers per block, 32 groups, projections by convolution, sinusoids the other way round,
/// an odd size; the same with the guidance scale, 7.5, as an input.
#[test]
fn another_architecture_equals_diffusers() {
    architecture(&golden("unet.json"), 1e-5);
    // The scale's sinusoids have angles in the thousands, of which f32 knows the fourth decimal.
    architecture(&golden("unet_guided.json"), 1e-4);
}

fn architecture(r: &Architecture, limit: f64) {
    let dir = tempfile::tempdir().expect("tempdir");
    let (config, weights) = (dir.path().join("config.json"), dir.path().join("w.safetensors"));
    std::fs::write(&config, r.config.to_string()).expect("config");
    let drawn = draw(&r.tensors);
    let views = drawn.iter().map(|(n, s, b)| (n, TensorView::new(Dtype::F32, s.clone(), b).expect("view")));
    std::fs::write(&weights, safetensors::serialize(views, None::<HashMap<String, String>>).expect("file"))
        .expect("write");
    let weights = Weights::open_files(vec![weights], DType::F32, &Device::Cpu).expect("weights");
    let tensor = |seed: u64, shape: &[usize]| {
        let values = torch_randn(seed, shape.iter().product());
        candle_core::Tensor::from_vec(values, shape, &Device::Cpu).expect("tensor")
    };
    for weights in [weights.plain(), weights.clone()] {
        let unet = UNet::load(&weights, UNetConfig::read(&config).expect("config")).expect("unet");
        let sizes = [48.0, 40.0, 0.0, 0.0, 48.0, 40.0];
        let condition =
            unet.condition(&tensor(2, &[1, 7, 24]), &tensor(3, &[1, 20]), &sizes, 7.5).expect("condition");
        let x =
            tensor(1, &[1, 4, 13, 10]).permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("latents");
        let y = unet.forward(&x, 301.0, &condition).expect("output");
        let y = y.permute((0, 3, 1, 2)).and_then(|t| t.contiguous()).expect("output");
        let got = y.flatten_all().and_then(|t| t.to_vec1()).expect("values");
        r.output.check("output", y.dims(), &got, limit);
    }
}

#[test]
fn a_trace_is_saved_and_read_back() {
    let mut trace = Trace::new();
    let pipeline = Pipeline::load(&teacher(), &options(DType::F32, 1)).expect("pipeline");
    let case: Vec<Reference> = golden("pipelines.json");
    let case = Case { steps: 1, ..case[7].case.clone() };
    pipeline.generate(&crate::common::request(&pipeline, &case), Some(&mut trace)).expect("picture");
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("trace.safetensors");
    trace.save(&path).expect("save");
    let back = Weights::open_files(vec![path], DType::F32, &Device::Cpu).expect("read");
    for (name, tensor) in trace.iter() {
        assert_eq!(back.values(tensor.dims(), name).expect(name), values(&trace, name));
    }
    assert!(back.contains("unet_first_output") && back.contains("negative_prompt_embeds"));
}
