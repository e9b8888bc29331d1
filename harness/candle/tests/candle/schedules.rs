//! The arithmetic of schedulers against diffusers (`golden/make_schedules.py`).

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use edgemaxx_candle::schedule::{Noise, SCHEDULERS, Schedule, ScheduleConfig};
use edgemaxx_contract::noise::torch_randn;
use serde::Deserialize;

use crate::common::{Digest, golden};

#[derive(Deserialize)]
struct Reference {
    steps: usize,
    config: String,
    scale: f32,
    times: Vec<f32>,
    #[serde(flatten)]
    sample: Digest,
}

/// Noise of `[1, channels, h, w]`, the channels last.
fn noise(seed: u64, shape: &[usize]) -> Tensor {
    let values = torch_randn(seed, shape.iter().product());
    let noise = Tensor::from_vec(values, shape, &Device::Cpu).expect("noise");
    noise.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("noise")
}

#[test]
#[expect(clippy::print_stdout, reason = "the table of PROTOCOL.md, with --nocapture")]
fn every_scheduler_steps_as_in_diffusers() {
    let cases: Vec<Reference> = golden("schedules.json");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("scheduler_config.json");
    let mut worst: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for r in &cases {
        std::fs::write(&path, &r.config).expect("config");
        let config = ScheduleConfig::read(&path, None).expect("schedule");
        Schedule::rehearse(&config, r.steps).expect(&r.config);
        let mut schedule = Schedule::new(&config, r.steps).expect("steps");
        let what = format!("{} steps of {}", r.steps, r.config);
        assert_eq!(schedule.times().len(), r.times.len(), "{what}");
        for (ours, theirs) in schedule.times().iter().zip(&r.times) {
            assert!((ours - theirs).abs() <= 1e-3, "time {ours}, not {theirs}: {what}");
        }
        let scale = schedule.initial_scale();
        assert!((scale - r.scale).abs() <= 1e-6 * r.scale, "scale {scale}, not {}: {what}", r.scale);
        let mut sample = (noise(21, &r.sample.shape) * f64::from(scale)).expect("scaled");
        let mut way = Noise::new(21);
        for call in 0..r.times.len() {
            let input = schedule.scale_input(&sample, call).expect("input");
            let added = noise(900 + call as u64, &r.sample.shape);
            let output = ((input * 0.3).expect("output") + (added * 0.5).expect("noise")).expect("output");
            sample = schedule.step(&output, call, &sample, &mut way).expect("step");
        }
        let sample = sample.permute((0, 3, 1, 2)).and_then(|t| t.contiguous()).expect("sample");
        let got: Vec<f32> = sample.flatten_all().and_then(|t| t.to_vec1()).expect("values");
        r.sample.check(&what, sample.dims(), &got, 1e-5);
        let class = ScheduleConfig::class(&path).expect("class").expect("a name");
        let (most, tried) = worst.entry(class).or_default();
        (*most, *tried) = (most.max(r.sample.distance(&got)), *tried + 1);
    }
    assert_eq!(worst.len(), SCHEDULERS.len());
    for (class, (most, tried)) in worst {
        println!("| `{class}` | {tried} | {most:.1e} |");
    }
}

/// What only fails in the arithmetic of a step is found without a model, and the keys at fault are named.
#[test]
fn steps_that_make_no_numbers_are_found_beforehand() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("scheduler_config.json");
    let rehearsed = |class: &str, keys: &str, steps: usize| {
        std::fs::write(&path, format!("{{\"_class_name\": \"{class}\", {keys}}}")).expect("config");
        let config = ScheduleConfig::read(&path, None).expect("schedule");
        Schedule::rehearse(&config, steps).map_err(|error| error.to_string())
    };
    let little = "\"beta_start\": 1e-30, \"beta_end\": 1e-29";
    let beyond = "\"timestep_spacing\": \"leading\", \"steps_offset\": 1000";
    let end = "\"predict_x0\": false, \"final_sigmas_type\": \"zero\"";
    for (class, keys, at_fault) in [
        ("EulerDiscreteScheduler", little, "beta_start, beta_end or trained_betas"),
        ("DDPMScheduler", little, "beta_start, beta_end or trained_betas"),
        ("HeunDiscreteScheduler", little, "beta_start, beta_end or trained_betas"),
        ("DPMSolverMultistepScheduler", beyond, "steps_offset"),
        ("UniPCMultistepScheduler", beyond, "steps_offset"),
        ("LMSDiscreteScheduler", beyond, "steps_offset"),
        ("DPMSolverSDEScheduler", beyond, "steps_offset"),
        ("UniPCMultistepScheduler", end, "final_sigmas_type, algorithm_type or predict_x0"),
    ] {
        let said = rehearsed(class, keys, 3).expect_err(class);
        let expected = format!("expected a scheduler_config.json with another {at_fault}, or another");
        assert!(
            said.contains("`steps`: found 3, of which that at time") && said.contains(&expected),
            "{class}: {said}"
        );
    }
    for class in SCHEDULERS {
        for steps in [1, 2, 3, 8, 30] {
            rehearsed(class, "\"skip_prk_steps\": true", steps).expect(class);
        }
    }
}
