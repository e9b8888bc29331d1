//! Unfit checkpoints and requests: each refused with a message that names file, field and cure. And unusual but valid
//! layouts: accepted.
use crate::common::{options, teacher};
use edgemaxx_candle::derive::{Recipe, derive};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{CheckpointSource, DType, Device, GenerateRequest, LoadOptions, Pipeline};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A copy of the fixture that may be damaged.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        derive(&teacher(), &Recipe::default(), dir.path()).expect("copy");
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Pipeline, String> {
        let source = CheckpointSource { root: self.0.path().to_path_buf(), unet: None };
        Pipeline::load(&source, &options(DType::F32, 1)).map_err(|e| e.to_string())
    }

    /// Loads, expects a refusal, and returns its message after checking that it contains `parts`.
    fn refused(&self, parts: &[&str]) {
        let message = self.load().err().expect("must be refused");
        for part in parts {
            assert!(message.contains(part), "`{part}` is missing in: {message}");
        }
    }

    /// Replaces a file, breaking the hard link to the fixture.
    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, bytes).expect("write");
    }

    fn edit(&self, name: &str, key: &str, value: serde_json::Value) {
        let text = std::fs::read_to_string(self.path(name)).expect(name);
        let mut json: serde_json::Value = serde_json::from_str(&text).expect(name);
        json[key] = value;
        self.put(name, json.to_string().as_bytes());
    }
}

/// The right key is blamed, in JSON's words.
#[test]
fn a_unet_without_channels_is_told_so() {
    let copy = Copy::new();
    let text = std::fs::read_to_string(copy.path("unet/config.json")).expect("config");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json.as_object_mut().expect("an object").remove("block_out_channels");
    copy.put("unet/config.json", json.to_string().as_bytes());
    copy.refused(&["field `block_out_channels`: found nothing, expected 3 numbers"]);
    json["block_out_channels"] = serde_json::json!([64, 128, 128]);
    json["attention_head_dim"] = serde_json::json!([2, 4]);
    copy.put("unet/config.json", json.to_string().as_bytes());
    copy.refused(&["field `attention_head_dim`: found 2 numbers, expected one, or 3 of them"]);
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

/// Rewrites a safetensors file, keeping the tensors that `keep` renames.
fn rewrite(bytes: &[u8], keep: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).expect("fixture");
    let views: Vec<(String, TensorView)> =
        file.tensors().into_iter().filter_map(|(n, v)| keep(&n).map(|n| (n, v))).collect();
    safetensors::serialize(views, None::<HashMap<String, String>>).expect("rewritten")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("file")
}

#[test]
fn unfit_checkpoints_are_refused_by_name() {
    let copy = Copy::new();
    let whole = read(&copy.path(UNET));
    copy.put(UNET, &whole[..whole.len() - 1000]);
    copy.refused(&["unet", "diffusion_pytorch_model.safetensors", "damaged", "convert it again"]);
    copy.put(UNET, &rewrite(&whole, |n| (n != "mid_block.resnets.0.conv1.weight").then(|| n.to_string())));
    copy.refused(&[
        "diffusion_pytorch_model.safetensors",
        "`mid_block.resnets.0.conv1.weight` is missing",
        "[128, 128, 3, 3]",
    ]);
    let swap = |n: &str| match n {
        "conv_in.bias" => Some("conv_out.bias".to_string()),
        "conv_out.bias" => Some("conv_in.bias".to_string()),
        n => Some(n.to_string()),
    };
    copy.put(UNET, &rewrite(&whole, swap));
    copy.refused(&["`conv_in.bias` has shape [4], expected [64]"]);
    std::fs::remove_file(copy.path(UNET)).expect("remove");
    copy.refused(&["unet", "no weights found", "diffusion_pytorch_model.safetensors"]);
    copy.put("unet/diffusion_pytorch_model.bin", b"\x80\x02");
    copy.refused(&["diffusion_pytorch_model.bin", "refused", "pickle", "safe_serialization=True"]);
}

/// A scheduler that was asked for is no fault of the checkpoint's files.
#[test]
fn a_scheduler_asked_for_is_refused_as_a_setting() {
    let asked =
        LoadOptions { scheduler: Some("DEISMultistepScheduler".to_owned()), ..options(DType::F32, 1) };
    let message = Pipeline::load(&teacher(), &asked).err().expect("must be refused").to_string();
    for part in ["`generation.scheduler`", "`DEISMultistepScheduler`", "`EulerDiscreteScheduler`"] {
        assert!(message.contains(part), "`{part}` is missing in: {message}");
    }
    assert!(!message.contains("scheduler_config.json"), "{message}");
}

#[test]
fn unfit_configurations_are_refused_by_field() {
    let copy = Copy::new();
    let mut tried = 0;
    for (file, key, value, parts) in [
        (
            "scheduler/scheduler_config.json",
            "_class_name",
            "KDPM2DiscreteScheduler".into(),
            ["EulerDiscreteScheduler", "DDIMScheduler"],
        ),
        (
            "scheduler/scheduler_config.json",
            "timestep_type",
            "continuous".into(),
            ["timestep_type", "discrete"],
        ),
        ("scheduler/scheduler_config.json", "timestep_spacing", "even".into(), ["`even`", "`trailing`"]),
        (
            "unet/config.json",
            "down_block_types",
            serde_json::json!(["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"]),
            ["down_block_types", "AttnDownBlock2D"],
        ),
        ("unet/config.json", "attention_head_dim", 3.into(), ["attention_head_dim", "divisor"]),
        ("unet/config.json", "time_embedding_type", "fourier".into(), ["time_embedding_type", "positional"]),
        ("unet/config.json", "norm_num_groups", 48.into(), ["norm_num_groups", "divisor"]),
        ("unet/config.json", "in_channels", 9.into(), ["in_channels", "latent_channels"]),
        (
            "unet/config.json",
            "freq_shift",
            32.into(),
            ["freq_shift", "sinusoids of 64 channels, shifted by 32"],
        ),
        ("unet/config.json", "time_cond_proj_dim", 2.into(), ["time_cond_proj_dim", "of 2 channels"]),
        ("vae/config.json", "scaling_factor", 1e-45.into(), ["scaling_factor", "from 0.000001"]),
        ("vae/config.json", "act_fn", "relu".into(), ["act_fn", "silu"]),
        ("text_encoder/config.json", "hidden_act", "relu".into(), ["hidden_act", "quick_gelu"]),
        ("text_encoder_2/config.json", "num_attention_heads", 7.into(), ["num_attention_heads", "divisor"]),
        (
            "model_index.json",
            "_class_name",
            "FluxPipeline".into(),
            ["FluxPipeline", "StableDiffusionXLPipeline"],
        ),
    ] {
        let before = read(&copy.path(file));
        copy.edit(file, key, value);
        copy.refused(&[file, parts[0], parts[1]]);
        copy.put(file, &before);
        tried += 1;
    }
    assert_eq!(tried, 15);
    let huge = 1_000_000_000_000u64;
    for (file, key, value) in [
        ("scheduler/scheduler_config.json", "num_train_timesteps", huge.into()),
        ("scheduler/scheduler_config.json", "steps_offset", u64::MAX.into()),
        ("unet/config.json", "layers_per_block", 1_000_000_000.into()),
        ("unet/config.json", "transformer_layers_per_block", serde_json::json!([1, huge, 1])),
        ("unet/config.json", "block_out_channels", serde_json::json!([huge, huge, huge])),
        ("unet/config.json", "block_out_channels", serde_json::json!(vec![64; 1000])),
        ("unet/config.json", "cross_attention_dim", huge.into()),
        ("unet/config.json", "sample_size", huge.into()),
        ("unet/config.json", "in_channels", huge.into()),
        ("unet/config.json", "addition_time_embed_dim", huge.into()),
        ("unet/config.json", "projection_class_embeddings_input_dim", huge.into()),
        ("vae/config.json", "block_out_channels", serde_json::json!([huge])),
        ("vae/config.json", "layers_per_block", huge.into()),
        ("vae/config.json", "latent_channels", 0.into()),
        ("vae/config.json", "norm_num_groups", 0.into()),
        ("text_encoder/config.json", "num_hidden_layers", huge.into()),
        ("text_encoder/config.json", "vocab_size", huge.into()),
        ("text_encoder_2/config.json", "max_position_embeddings", huge.into()),
        ("text_encoder_2/config.json", "intermediate_size", huge.into()),
        ("text_encoder_2/config.json", "projection_dim", huge.into()),
    ] {
        let before = read(&copy.path(file));
        copy.edit(file, key, value);
        copy.refused(&[file, key, "expected"]);
        copy.put(file, &before);
    }
    copy.put("unet/config.json", b"{ not json");
    copy.refused(&["unet/config.json", "line 1"]);
    std::fs::remove_file(copy.path("model_index.json")).expect("remove");
    copy.refused(&["model_index.json"]);
}

#[test]
fn a_tokenizer_knows_no_words_that_its_text_encoder_lacks() {
    let copy = Copy::new();
    let file = "tokenizer_2/tokenizer.json";
    let mut json: serde_json::Value = serde_json::from_slice(&read(&copy.path(file))).expect("JSON");
    let tokens = json["added_tokens"].as_array_mut().expect("a list");
    let mut more = tokens[0].clone();
    more["id"] = 3072.into();
    more["content"] = "<more>".into();
    tokens.push(more);
    copy.put(file, json.to_string().as_bytes());
    copy.refused(&["tokenizer_2", "token 3072, but the text encoder has 3072"]);
}

/// One step of a small picture.
fn request() -> GenerateRequest {
    GenerateRequest {
        prompt: "red apple".to_string(),
        negative_prompt: None,
        latents: vec![0.0; 1024],
        seed: 0,
        steps: 1,
        guidance_scale: 1.0,
        width: 64,
        height: 64,
    }
}

#[test]
fn unfit_requests_are_refused_by_field() {
    let pipeline = Pipeline::load(&teacher(), &options(DType::F32, 1)).expect("pipeline");
    let good = request();
    let refused = |request: GenerateRequest, field: &str| {
        let message = pipeline.generate(&request, None).expect_err("must be refused").to_string();
        assert!(message.contains(&format!("`{field}`")), "{message}");
    };
    refused(GenerateRequest { width: 66, ..good.clone() }, "width");
    refused(GenerateRequest { height: 0, ..good.clone() }, "height");
    refused(GenerateRequest { latents: vec![0.0; 1000], ..good.clone() }, "latents");
    refused(GenerateRequest { steps: 0, ..good.clone() }, "steps");
    refused(GenerateRequest { steps: 1001, ..good.clone() }, "steps");
    refused(GenerateRequest { guidance_scale: f64::NAN, ..good }, "guidance_scale");
}

#[test]
fn pictures_that_are_not_numbers_are_refused() {
    let copy = Copy::new();
    let scales = |scale: f32| -> Vec<u8> { [scale; 3].iter().flat_map(|v| v.to_le_bytes()).collect() };
    let file = "vae/diffusion_pytorch_model.safetensors";
    let whole = read(&copy.path(file));
    let mut said = Vec::new();
    for scale in [1.0, f32::NAN, f32::INFINITY] {
        let vae = SafeTensors::deserialize(&whole).expect("fixture");
        let shape = vae.tensor("decoder.conv_out.weight").expect("weight").shape().to_vec();
        let (zeros, scale) = (vec![0u8; shape.iter().product()], scales(scale));
        let mut views = vae.tensors();
        views.retain(|(name, _)| name != "decoder.conv_out.weight");
        let view = |dtype, shape, data| TensorView::new(dtype, shape, data).expect("view");
        views.push(("decoder.conv_out.weight".to_string(), view(safetensors::Dtype::I8, shape, &zeros)));
        views.push((
            "decoder.conv_out.weight.scale".to_string(),
            view(safetensors::Dtype::F32, vec![3], &scale),
        ));
        copy.put(file, &safetensors::serialize(views, None::<HashMap<String, String>>).expect("rewritten"));
        let made = copy.load().expect("pipeline").generate(&request(), None);
        said.push(made.map_or_else(|error| error.to_string(), |_| "a picture".to_string()));
    }
    assert_eq!(said[0], "a picture");
    for refusal in &said[1..] {
        assert!(
            refusal.starts_with("the picture has values that are not numbers: 12288 of 12288"),
            "{refusal}"
        );
    }
}

#[test]
fn shards_variants_and_unprefixed_keys_are_accepted() {
    let copy = Copy::new();
    let whole = read(&copy.path(UNET));
    std::fs::remove_file(copy.path(UNET)).expect("remove");
    let half = |n: &str| n.len() % 2;
    let mut map = serde_json::Map::new();
    for (i, name) in ["model-1.safetensors", "model-2.safetensors"].iter().enumerate() {
        let part = rewrite(&whole, |n| (half(n) == i).then(|| n.to_string()));
        for n in SafeTensors::deserialize(&part).expect("part").names() {
            map.insert(n.to_string(), (*name).into());
        }
        copy.put(&format!("unet/{name}"), &part);
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    copy.put("unet/diffusion_pytorch_model.safetensors.index.json", index.to_string().as_bytes());
    let text = read(&copy.path(TEXT));
    std::fs::remove_file(copy.path(TEXT)).expect("remove");
    let bare = rewrite(&text, |n| Some(n.strip_prefix("text_model.").unwrap_or(n).to_string()));
    copy.put("text_encoder/model.fp16.safetensors", &bare);
    std::fs::remove_file(copy.path("tokenizer/tokenizer.json")).expect("remove");
    let odd = copy.load().expect("pipeline");
    let plain = Pipeline::load(&teacher(), &options(DType::F32, 1)).expect("pipeline");
    let request = GenerateRequest {
        prompt: "Two CATS, it's a dog's life! №7".to_string(),
        negative_prompt: None,
        latents: edgemaxx_contract::noise::torch_randn(3, 1024),
        seed: 3,
        steps: 1,
        guidance_scale: 2.0,
        width: 64,
        height: 64,
    };
    let picture = |p: &Pipeline| p.generate(&request, None).expect("picture");
    assert_eq!(picture(&odd), picture(&plain));
    let shard = copy.path("unet/model-2.safetensors");
    std::fs::remove_file(&shard).expect("remove");
    copy.refused(&["model-2.safetensors"]);
    let outside = serde_json::json!({"weight_map": {"a": "../model.safetensors"}});
    copy.put("unet/diffusion_pytorch_model.safetensors.index.json", outside.to_string().as_bytes());
    copy.refused(&["index.json", "weight_map", "same folder"]);
}

#[test]
fn int8_values_are_multiplied_by_their_scale() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("q.safetensors");
    let q: Vec<u8> = [1i8, -2, 3, 127, -127, 0].iter().map(|v| *v as u8).collect();
    let scale: Vec<u8> = [0.5f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let views = [
        ("w", TensorView::new(safetensors::Dtype::I8, vec![2, 3], &q).expect("view")),
        ("w.scale", TensorView::new(safetensors::Dtype::F32, vec![2], &scale).expect("view")),
    ];
    std::fs::write(&path, safetensors::serialize(views, None::<HashMap<String, String>>).expect("file"))
        .expect("write");
    let w = Weights::open_files(vec![path], DType::F32, &Device::Cpu).expect("weights");
    assert_eq!(w.values(&[2, 3], "w").expect("w"), [0.5, -1.0, 1.5, 254.0, -254.0, 0.0]);
}
