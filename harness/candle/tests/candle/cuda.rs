//! The engine on an NVIDIA GPU: its fused operations beside candle's own on the same card, and beside the CPU. Skipped
//! where there is no GPU, unless EDGEMAXX_GPU is set.
#![allow(clippy::print_stderr, reason = "says how near results are")]

use std::io::Write as _;

use crate::common::{Case, load, request, student, teacher};
use edgemaxx_candle::{Accelerator, CheckpointSource, DType, Device, LoadOptions, Picture, Pipeline};

fn gpu() -> Option<Device> {
    match Accelerator::Cuda.open() {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("EDGEMAXX_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED: {error}; EDGEMAXX_GPU=1 would make this a failure");
            None
        }
    }
}

fn options(device: &Device, dtype: DType) -> LoadOptions {
    LoadOptions { dtype, device: device.clone(), threads: Some(2), ..LoadOptions::default() }
}

fn case(prompt: &str, guidance_scale: f64, width: usize, height: usize) -> Case {
    Case {
        name: prompt.to_owned(),
        prompt: prompt.to_owned(),
        negative_prompt: None,
        seed: 7,
        steps: 5,
        guidance_scale,
        width,
        height,
        student: false,
        vae_tiling: false,
    }
}

/// Peak signal-to-noise ratio in dB.
fn psnr(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let squares = a.rgb.iter().zip(&b.rgb).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    10.0 * (255.0f64.powi(2) * a.rgb.len() as f64 / squares.sum::<f64>()).log10()
}

fn agree(source: &CheckpointSource, case: &Case, device: &Device) {
    let cpu = load(source, DType::F32);
    let reference = cpu.generate(&request(&cpu, case), None).expect("CPU");
    // f32 keeps its digits; the others lose what their mantissas lack, times the steps
    for (dtype, beside_cpu, beside_plain) in
        [(DType::F32, 60.0, 60.0), (DType::F16, 38.0, 38.0), (DType::BF16, 22.0, 22.0)]
    {
        let fused = Pipeline::load(source, &options(device, dtype)).expect("fused");
        let plain = Pipeline::load_plain(source, &options(device, dtype)).expect("plain");
        let a = fused.generate(&request(&fused, case), None).expect("fused");
        let b = plain.generate(&request(&plain, case), None).expect("plain");
        let (to_cpu, to_plain) = (psnr(&a, &reference), psnr(&a, &b));
        eprintln!(
            "{} {}x{} {dtype:?}: {to_cpu:.1} dB to the CPU in f32, {to_plain:.1} dB to plain",
            case.name, case.width, case.height
        );
        assert!(to_cpu >= beside_cpu && to_plain >= beside_plain, "{dtype:?}: {to_cpu} and {to_plain} dB");
    }
}

#[test]
fn pictures_agree_with_candle_and_the_cpu() {
    let Some(device) = gpu() else { return };
    agree(&teacher(), &case("red apple", 5.0, 64, 64), &device);
    // sizes that no tile divides
    agree(&teacher(), &case("blue heart", 5.0, 72, 40), &device);
    // one branch
    agree(&student(), &case("green leaf", 1.0, 64, 64), &device);
}

#[test]
fn bits_do_not_depend_on_what_was_made_before() {
    let Some(device) = gpu() else { return };
    let make = |pipeline: &Pipeline, case: &Case| {
        pipeline.generate(&request(pipeline, case), None).expect("picture")
    };
    for dtype in [DType::F16, DType::F32] {
        let fresh = Pipeline::load(&teacher(), &options(&device, dtype)).expect("pipeline");
        let (a, b) = (case("red apple", 5.0, 64, 64), case("blue heart", 1.0, 40, 72));
        let first = make(&fresh, &a);
        assert_eq!(make(&fresh, &a), first, "{dtype:?}: the same again");
        let other = make(&fresh, &b);
        assert_eq!(make(&fresh, &a), first, "{dtype:?}: after another size and guidance");
        let again = Pipeline::load(&teacher(), &options(&device, dtype)).expect("pipeline");
        assert_eq!(make(&again, &b), other, "{dtype:?}: in another order");
    }
}

/// The tiny story-teller says on the card what it says on the CPU with the same weights, but for tokens that are all but
/// equal; and the same again.
#[test]
fn texts_are_those_of_the_cpu() {
    use edgemaxx_candle::gguf::TensorType;
    use edgemaxx_candle::llama::{Choice, GpuLlama, Llama, LlamaOptions, Wanted};

    if gpu().is_none() {
        return;
    }
    let path = crate::common::fixtures().join("models/stories-llama");
    for weights in [TensorType::F16, TensorType::Bf16, TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1] {
        let options = LlamaOptions { weights: Some(weights), context: Some(200), ..LlamaOptions::default() };
        let mut cpu = Llama::open(&path, &options).expect("CPU");
        let mut gpu = GpuLlama::open(&path, &options).expect("GPU");
        for count in [1, 63, 64, 150] {
            let prompt: Vec<u32> = (0..count).map(|i| (i * 131 + 17) % 2048).collect();
            let mut made = Vec::new();
            for _ in 0..2 {
                let mut ids = Vec::new();
                let wanted =
                    Wanted { prompt: &prompt, most: 40, ends: &[], choice: Choice::Greedy, lookup: 0 };
                let mut each = |new: &[u32]| {
                    ids.extend_from_slice(new);
                    true
                };
                gpu.generate(wanted, &mut each).expect("an answer");
                assert!(made.is_empty() || made == ids, "{weights:?}, {count}: not the same again");
                made = ids;
            }
            let mut check = |at: usize, logits: &[f32]| {
                let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let short = top - logits[made[at] as usize];
                assert!(short < 0.1, "{weights:?}, {count}: token {at} is {short} from the CPU's");
            };
            cpu.score(&prompt, &made, &mut check).expect("a reading");
        }
    }
}
