//! What stands in a UNet's place: a LoRA (against diffusers, `golden/make_lora.py`), a single file of a whole pipeline.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use edgemaxx_candle::derive::{Recipe, derive};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, Pipeline};
use edgemaxx_contract::noise::torch_randn;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;

use crate::common::{Case, Digest, fixtures, generate, golden, options, teacher, values};

/// Shapes and values by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

#[derive(Deserialize)]
struct Reference {
    tensors: BTreeMap<String, Vec<usize>>,
    final_latents: Digest,
}

fn case() -> Case {
    let (prompt, name) = ("red apple".to_string(), "lora".to_string());
    let sides = (64, 64);
    Case {
        name,
        prompt,
        negative_prompt: None,
        seed: 11,
        steps: 2,
        guidance_scale: 5.0,
        width: sides.0,
        height: sides.1,
        student: false,
        vae_tiling: false,
    }
}

fn write(path: &Path, tensors: &Tensors) {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).expect("view"))
    });
    let file = safetensors::serialize(views, None::<HashMap<String, String>>).expect("file");
    std::fs::write(path, file).expect("write");
}

/// The factors that `make_lora.py` draws from PyTorch's generator, drawn again.
fn drawn(tensors: &BTreeMap<String, Vec<usize>>) -> Tensors {
    let one = |(i, (name, shape)): (usize, (&String, &Vec<usize>))| {
        let noise = torch_randn(500 + i as u64, shape.iter().product());
        let values = match name.ends_with("alpha") {
            true => vec![2.0],
            false => noise.into_iter().map(|z| 0.2 * z).collect(),
        };
        (name.clone(), (shape.clone(), values))
    };
    tensors.iter().enumerate().map(one).collect()
}

fn replaced(folder: &Path) -> CheckpointSource {
    CheckpointSource { unet: Some(folder.to_path_buf()), ..teacher() }
}

#[test]
fn loras_equal_diffusers() {
    for r in golden::<Vec<Reference>>("lora.json") {
        let folder = tempfile::tempdir().expect("folder");
        write(&folder.path().join("pytorch_lora_weights.safetensors"), &drawn(&r.tensors));
        let source = replaced(folder.path());
        let merged = Pipeline::load(&source, &options(DType::F32, 2)).expect("pipeline");
        let (picture, trace) = generate(&merged, &case());
        let got = values(&trace, "final_latents");
        r.final_latents.check(
            "final latents",
            trace.get("final_latents").expect("latents").dims(),
            &got,
            1e-4,
        );
        // written down as a checkpoint of its own, in the base's 16 bits, it is nearly the same
        let whole = tempfile::tempdir().expect("folder");
        derive(&source, &Recipe::default(), whole.path()).expect("derived");
        let whole = CheckpointSource { root: whole.path().to_path_buf(), unet: None };
        let whole = Pipeline::load(&whole, &options(DType::F32, 2)).expect("pipeline");
        let whole = generate(&whole, &case()).0;
        assert!(whole.rgb.iter().zip(&picture.rgb).all(|(a, b)| a.abs_diff(*b) <= 3));
        let own = Pipeline::load(&teacher(), &options(DType::F32, 2)).expect("pipeline");
        let own = generate(&own, &case()).0;
        assert!(own.rgb.iter().zip(&picture.rgb).any(|(a, b)| a.abs_diff(*b) > 30));
    }
}

#[test]
fn what_changes_nothing_of_the_unet_is_refused() {
    let r: Vec<Reference> = golden("lora.json");
    let tensors = drawn(&r[0].tensors);
    let refused = |change: &dyn Fn(&mut Tensors), words: &[&str]| {
        let mut changed = tensors.clone();
        change(&mut changed);
        let folder = tempfile::tempdir().expect("folder");
        write(&folder.path().join("lora.safetensors"), &changed);
        let error = Pipeline::load(&replaced(folder.path()), &options(DType::F32, 1)).err().expect("refused");
        for word in words {
            assert!(error.to_string().contains(word), "{word:?} in {error}");
        }
    };
    let one = || (vec![1], vec![1.0]);
    let encoder = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight";
    refused(&|t| drop(t.insert(encoder.to_string(), one())), &[encoder, "LoRA of the UNet alone"]);
    let first = tensors.keys().find(|name| name.ends_with("lora_A.weight")).expect("a name").clone();
    let second = first.replace("lora_A", "lora_B");
    refused(&|t| drop(t.remove(&second)), &[&second]);
    refused(&|t| drop(t.insert(second.clone(), one())), &[&second, "[1]"]);
    refused(&|t| t.retain(|name, _| name == &second), &["neither", &second]);
    refused(&|t| *t = BTreeMap::from([("odd".to_string(), one())]), &["lora.safetensors", "neither", "odd"]);
}

/// Names by diffusers' own `convert_ldm_unet_checkpoint` (`golden/make_single_file.py`).
#[test]
fn a_single_file_is_the_same_unet() {
    let own = fixtures().join("models/emoji-sdxl-student/unet");
    let path = own.join("diffusion_pytorch_model.safetensors");
    let weights = Weights::open_files(vec![path], DType::F32, &Device::Cpu).expect("weights");
    let names: BTreeMap<String, String> = golden("single_file_names.json");
    assert!(weights.names().filter(|name| !name.ends_with(".scale")).all(|name| names.contains_key(name)));
    let tensors = names.iter().map(|(ours, theirs)| {
        let shape = weights.info(ours).expect(ours).1.to_vec();
        (
            format!("model.diffusion_model.{theirs}"),
            (shape.clone(), weights.values(&shape, ours).expect(ours)),
        )
    });
    let mut tensors: BTreeMap<_, _> = tensors.collect();
    tensors.insert("first_stage_model.decoder.conv_in.weight".to_string(), (vec![1], vec![0.0]));
    let folder = tempfile::tempdir().expect("folder");
    write(&folder.path().join("model.safetensors"), &tensors);
    let picture = |folder: &Path| {
        let pipeline = Pipeline::load(&replaced(folder), &options(DType::F32, 2)).expect("pipeline");
        generate(&pipeline, &case()).0
    };
    assert_eq!(picture(folder.path()), picture(&own));
    // one that lacks a tensor
    tensors.remove("model.diffusion_model.out.2.bias");
    write(&folder.path().join("model.safetensors"), &tensors);
    let error = Pipeline::load(&replaced(folder.path()), &options(DType::F32, 1)).err().expect("refused");
    assert!(error.to_string().contains("conv_out.bias"), "{error}");
}
