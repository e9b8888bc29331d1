//! What stands in a UNet's place: a LoRA (against diffusers, `golden/make_lora.py`), a single file of a whole pipeline.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use edgemaxx_candle::derive::{Recipe, derive};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, Pipeline, Unread, unet_folder};
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

/// A file of such factors, of zeros and stored as `dtype`; what `more` adds is stored as F32.
fn of_zeros(path: &Path, factors: &[(String, Vec<usize>)], dtype: Dtype, more: &[(String, Vec<usize>)]) {
    let stored = factors.iter().map(|one| (one, dtype)).chain(more.iter().map(|one| (one, Dtype::F32)));
    let zeros: Vec<_> = stored
        .map(|((name, shape), dtype)| {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (name, dtype, shape, vec![0; bytes])
        })
        .collect();
    let views = zeros.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, (*shape).clone(), bytes).expect("view"))
    });
    let file = safetensors::serialize(views, None::<HashMap<String, String>>).expect("file");
    std::fs::write(path, file).expect("write");
}

#[test]
fn factors_that_cannot_be_merged_are_refused_before_they_are_read() {
    let r: Vec<Reference> = golden("lora.json");
    let factors: Vec<(String, Vec<usize>)> =
        r[0].tensors.clone().into_iter().filter(|(name, _)| !name.ends_with("alpha")).collect();
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("lora.safetensors");
    let open = || {
        let options = options(DType::F32, 1);
        let said = |error: edgemaxx_candle::Error| error.to_string();
        let unread = Unread::open(&replaced(folder.path()), &options).map(drop).map_err(said);
        let read = Pipeline::load(&replaced(folder.path()), &options).map(drop).map_err(said);
        assert_eq!(unread, read);
        unread
    };
    let refused = |words: &str| {
        let said = open().expect_err(words);
        assert!(said.contains(words), "{words:?} in {said}");
    };
    for (dtype, words) in
        [(Dtype::I64, "is stored as I64"), (Dtype::U8, "is stored as U8"), (Dtype::I8, ".scale` is missing")]
    {
        of_zeros(&path, &factors, dtype, &[]);
        refused(words);
    }
    let scales: Vec<_> =
        factors.iter().map(|(name, shape)| (format!("{name}.scale"), vec![shape[0]])).collect();
    of_zeros(&path, &factors, Dtype::I8, &scales);
    assert_eq!(open(), Ok(()));
    of_zeros(&path, &factors, Dtype::F32, &scales);
    refused("changes nothing of this UNet");
    let (first, _) = &factors[0];
    let module = first.split(".lora").next().expect("a module");
    for shape in [vec![0], vec![2]] {
        of_zeros(&path, &factors, Dtype::F32, &[(format!("{module}.alpha"), shape)]);
        refused("expected one number");
    }
    let without_rank: Vec<_> = factors
        .iter()
        .map(|(name, shape)| {
            let mut shape = shape.clone();
            let rank = if name.contains("lora_A") || name.contains("down") { 0 } else { 1 };
            shape[rank] = 0;
            (name.clone(), shape)
        })
        .collect();
    of_zeros(&path, &without_rank, Dtype::F32, &[]);
    refused("a rank of 1 or more");
}

#[test]
fn what_replaces_a_unet_has_one_place() {
    let own = fixtures().join("models/emoji-sdxl-student");
    assert_eq!(unet_folder(&own).expect("inner"), own.join("unet"));
    assert_eq!(unet_folder(&own.join("unet")).expect("outer"), own.join("unet"));
    let folder = tempfile::tempdir().expect("folder");
    let (outer, inner) = (folder.path().join("lora.safetensors"), folder.path().join("unet"));
    // An empty `unet/` hides nothing.
    std::fs::create_dir(&inner).expect("folder");
    std::fs::write(&outer, "").expect("write");
    assert_eq!(unet_folder(folder.path()).expect("outer"), folder.path());
    std::fs::write(inner.join("config.json"), "{}").expect("write");
    let said = unet_folder(folder.path()).expect_err("both").to_string();
    assert!(said.contains("a UNet in it and another in its unet/"), "{said}");
    // A whole checkpoint with the same in one file beside its components, as many are published.
    let index = folder.path().join("model_index.json");
    std::fs::write(&index, "{}").expect("write");
    assert_eq!(unet_folder(folder.path()).expect("a pipeline's"), inner);
    std::fs::remove_file(&index).expect("removed");
    std::fs::remove_file(&outer).expect("removed");
    assert_eq!(unet_folder(folder.path()).expect("inner"), inner);
}
