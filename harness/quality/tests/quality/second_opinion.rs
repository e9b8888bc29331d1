//! Our CLIP against candle-transformers', an implementation that shares none of its model code.

use std::path::{Path, PathBuf};

use crate::common::{changed, picture};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, VarBuilder, VarMap};
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel, div_l2_norm};
use edgemaxx_candle::clip::ClipTokenizer;
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::clip::{ClipEmbedder, Preprocess};
use serde_json::{Value, json};

const PROMPTS: [&str; 3] =
    ["a dog face on a pink background", "", "red apple, two hearts and a very long sentence"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-clip")
}

/// Pictures of several sizes, the last two changed by a little and by a lot.
fn pictures() -> Vec<Picture> {
    let first = picture(224, 224, 1);
    let second = picture(300, 140, 2);
    let little = changed(&first, "noise", 9, 1);
    let lot = changed(&second, "other", 7, 2);
    vec![first, second, little, lot]
}

fn config(folder: &Path) -> ClipConfig {
    let json: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let of = |side: &str, key: &str| json[side][key].as_u64().unwrap() as usize;
    let projection_dim = json["projection_dim"].as_u64().unwrap() as usize;
    for side in ["text_config", "vision_config"] {
        assert_eq!(json[side]["hidden_act"], "quick_gelu", "candle-transformers knows no other");
    }
    ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: of("text_config", "vocab_size"),
            embed_dim: of("text_config", "hidden_size"),
            activation: Activation::QuickGelu,
            intermediate_size: of("text_config", "intermediate_size"),
            max_position_embeddings: of("text_config", "max_position_embeddings"),
            pad_with: None,
            num_hidden_layers: of("text_config", "num_hidden_layers"),
            num_attention_heads: of("text_config", "num_attention_heads"),
            projection_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: of("vision_config", "hidden_size"),
            activation: Activation::QuickGelu,
            intermediate_size: of("vision_config", "intermediate_size"),
            num_hidden_layers: of("vision_config", "num_hidden_layers"),
            num_attention_heads: of("vision_config", "num_attention_heads"),
            projection_dim,
            num_channels: 3,
            image_size: of("vision_config", "image_size"),
            patch_size: of("vision_config", "patch_size"),
        },
        logit_scale_init_value: 2.6592,
        image_size: of("vision_config", "image_size"),
    }
}

/// Largest difference of any value of any vector of length 1.
fn largest_difference(ours: &[Vec<f32>], theirs: &Tensor) -> f32 {
    let theirs = div_l2_norm(theirs).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(ours.len(), theirs.len());
    ours.iter().flatten().zip(theirs.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Both implementations on the weights of `folder`; `model` is theirs.
fn agree(folder: &Path, model: &ClipModel) {
    let embedder = ClipEmbedder::load(folder).unwrap();
    let tokenizer = ClipTokenizer::load(folder).unwrap();
    let preprocess = Preprocess::read(&folder.join("preprocessor_config.json")).unwrap();
    let side = config(folder).image_size;

    let pictures = pictures();
    let pixels: Vec<f32> = pictures.iter().flat_map(|p| preprocess.apply(p, side as u32).unwrap()).collect();
    let pixels = Tensor::from_vec(pixels, (pictures.len(), 3, side, side), &Device::Cpu).unwrap();
    let ours = embedder.embed_pictures(&pictures).unwrap();
    let difference = largest_difference(&ours, &model.get_image_features(&pixels).unwrap());
    assert!(difference < 2e-6, "pictures differ by {difference}");

    // The end token has the highest id; theirs looks for its first occurrence.
    let ids: Vec<Vec<u32>> = PROMPTS.iter().map(|p| tokenizer.encode(p).unwrap()).collect();
    let ours = embedder.embed_prompts(&PROMPTS).unwrap();
    let ids = Tensor::new(ids, &Device::Cpu).unwrap();
    let difference = largest_difference(&ours, &model.get_text_features(&ids).unwrap());
    assert!(difference < 2e-6, "prompts differ by {difference}");
}

#[test]
fn on_the_fixture() {
    let folder = fixture();
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    agree(&folder, &ClipModel::new(weights, &config(&folder)).unwrap());
}

/// ViT-B/32's real shape with random weights; only the vocabulary is the fixture's.
#[test]
fn in_the_shape_of_vit_b_32() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture().join(file), folder.join(file)).unwrap();
    }
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(fixture().join(name)).unwrap()).unwrap()
    };
    let write = |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    let mut preprocess = read("preprocessor_config.json");
    preprocess["size"] = json!({ "shortest_edge": 224 });
    preprocess["crop_size"] = json!({ "height": 224, "width": 224 });
    write("preprocessor_config.json", &preprocess);
    let mut settings = read("config.json");
    settings["projection_dim"] = json!(512);
    for (side, width, heads) in [("text_config", 512, 8), ("vision_config", 768, 12)] {
        settings[side]["hidden_size"] = json!(width);
        settings[side]["intermediate_size"] = json!(4 * width);
        settings[side]["num_attention_heads"] = json!(heads);
        settings[side]["num_hidden_layers"] = json!(12);
        settings[side]["projection_dim"] = json!(512);
    }
    settings["vision_config"]["image_size"] = json!(224);
    settings["vision_config"]["patch_size"] = json!(32);
    write("config.json", &settings);

    let weights = VarMap::new();
    let builder = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
    // candle-transformers would draw it anew instead of keeping it
    let class = builder.pp("vision_model.embeddings").get_with_hints(
        768,
        "class_embedding",
        Init::Randn { mean: 0.0, stdev: 1.0 },
    );
    class.unwrap();
    let model = ClipModel::new(builder, &config(folder)).unwrap();
    fill(&weights);
    weights.save(folder.join("model.safetensors")).unwrap();
    agree(folder, &model);
}

/// Replaces everything that was drawn at random by the same values in every run, of a trained
/// model's magnitude.
fn fill(weights: &VarMap) {
    for (name, var) in weights.data().lock().unwrap().iter() {
        if var.rank() == 1 && !name.ends_with("class_embedding") {
            continue; // biases and norms start as 0 and 1
        }
        let mut state = name.bytes().fold(7u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) | 1;
        let values: Vec<f32> = (0..var.elem_count())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * 0.06
            })
            .collect();
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}
