//! candle-transformers' models: against transformers' answers (golden/make_transformers.py), against the built-in engine where
//! both read a layout, and what they would compute wrongly.
use crate::common::{Digest, distance, fixtures, golden};
use crate::gguf::model;
use candle_core::{DType, Device, Tensor};
use edgemaxx_candle::llama::{Choice, Llama, LlamaOptions, Wanted, greedy};
use edgemaxx_candle::transformers::{Transformers, TransformersConfig, TransformersOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    config: Value,
    tensors: Vec<(String, Vec<usize>)>,
    begin: Option<u32>,
    ends: Vec<u32>,
    positions: usize,
    prompts: Vec<Vec<u32>>,
    answers: Vec<Vec<u32>>,
    sure: Vec<usize>,
    logits: Digest,
}

impl Model {
    /// Writes the model: tensor number i holds `torch.randn` of the seed i + 1, scaled as in golden/make_transformers.py.
    fn write(&self, dir: &Path, config: &Value) {
        std::fs::write(dir.join("config.json"), config.to_string()).expect("written");
        let gemma = self.config["model_type"].as_str().is_some_and(|kind| kind.starts_with("gemma"));
        let tensor = |(seed, (name, shape)): (usize, &(String, Vec<usize>))| {
            let mut values = edgemaxx_contract::noise::torch_randn(seed as u64 + 1, shape.iter().product());
            let mean = if name.ends_with("bias") || gemma { 0.0 } else { 1.0 };
            values.iter_mut().for_each(|value| match shape[..] {
                [_, columns] => *value *= (1.5 / (columns as f64).sqrt()) as f32,
                _ => *value = *value * 0.1 + mean,
            });
            (name.clone(), Tensor::from_vec(values, shape.clone(), &Device::Cpu).expect("tensor"))
        };
        let tensors: HashMap<String, Tensor> = self.tensors.iter().enumerate().map(tensor).collect();
        candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).expect("saved");
    }
}

fn open(path: &Path, threads: usize) -> Transformers {
    Transformers::open(path, &TransformersOptions { threads: Some(threads), context: None }).expect("opened")
}

fn refused(path: &Path, context: Option<usize>) -> String {
    Transformers::open(path, &TransformersOptions { threads: Some(1), context })
        .err()
        .expect("must be refused")
        .to_string()
}

fn answer(model: &mut Transformers, prompt: &[u32], most: usize) -> Vec<u32> {
    let mut said = Vec::new();
    let wanted = Wanted { prompt, most, ends: &[], choice: Choice::Greedy, lookup: 0 };
    let mut each = |ids: &[u32]| {
        said.extend_from_slice(ids);
        true
    };
    model.generate(wanted, &mut each).expect("made");
    said
}

#[test]
fn every_layout_says_what_transformers_says() {
    let golden: Golden = golden("transformers.json");
    assert_eq!(golden.models.len(), 17);
    for made in golden.models {
        let dir = tempfile::tempdir().expect("folder");
        made.write(dir.path(), &made.config);
        assert!(TransformersConfig::is_its(dir.path()), "{}", made.name);
        let mut model = open(dir.path(), 2);
        let config = model.config();
        assert_eq!((config.vocabulary, config.positions), (97, made.positions), "{}", made.name);
        // Of a family's usual tokens, those count that the vocabulary has.
        let ends: Vec<u32> = made.ends.into_iter().filter(|id| *id < 97).collect();
        assert_eq!((config.begin, &config.end), (made.begin, &ends), "{}", made.name);
        let text = [made.prompts[0].as_slice(), &made.answers[0]].concat();
        let logits = model.prefill(&text).expect("logits").to_vec();
        made.logits.check(&made.name, &[97], &logits, 2e-5);
        for ((prompt, right), sure) in made.prompts.iter().zip(&made.answers).zip(&made.sure) {
            assert!(*sure > 12, "{}: too little is compared", made.name);
            assert_eq!(answer(&mut model, prompt, *sure), right[..*sure], "{}", made.name);
        }
        // Read by force, what was said is what would have been chosen.
        let mut chosen = Vec::new();
        let mut each = |_: usize, logits: &[f32]| chosen.push(greedy(logits));
        model.score(&made.prompts[0], &made.answers[0], &mut each).expect("scored");
        assert_eq!(chosen[..made.sure[0]], made.answers[0][..made.sure[0]], "{}", made.name);
    }
}

/// Mistral without a window has LLaMA's layout.
#[test]
fn the_story_teller_is_the_same_to_both_engines() {
    let stories = fixtures().join("models/stories-llama");
    let dir = tempfile::tempdir().expect("folder");
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(stories.join("config.json")).expect("config"))
            .expect("JSON");
    config["model_type"] = "mistral".into();
    std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    std::fs::copy(stories.join("model.safetensors"), dir.path().join("model.safetensors")).expect("copied");
    let mut theirs = open(dir.path(), 1);
    let mut ours = Llama::open(&stories, &LlamaOptions::default()).expect("opened");
    for begin in [3u32, 90, 700] {
        let prompt: Vec<u32> = (0..20).map(|i| (begin + 17 * i * i) % 2000).collect();
        let said = answer(&mut theirs, &prompt, 40);
        let text = [&prompt[..], &said].concat();
        let (a, b) = (theirs.prefill(&text).expect("logits").to_vec(), ours.prefill(&text).expect("logits"));
        assert!(distance(&a, b) < 1e-5, "{:.1e}", distance(&a, b));
        let mut chosen = Vec::new();
        ours.score(&prompt, &said, &mut |_, logits| chosen.push(greedy(logits))).expect("scored");
        assert_eq!(chosen, said);
    }
}

/// LLaMA in GGUF, in every quantisation that both read: near, as theirs rounds what it multiplies to eight bits.
#[test]
fn gguf_files_are_read_by_both_engines() {
    let dir = tempfile::tempdir().expect("folder");
    let ids: Vec<u32> = (0..40).map(|i| i * 7 % 96).collect();
    for (kind, limit) in [(0, 1e-5), (1, 1e-3), (2, 0.05), (3, 0.05), (8, 0.05), (12, 0.05), (14, 0.05)] {
        let path = model(kind).write(dir.path());
        let mut theirs = open(&path, 1);
        let mut ours = Llama::open(&path, &LlamaOptions::default()).expect("opened");
        let (a, b) = (theirs.prefill(&ids).expect("logits").to_vec(), ours.prefill(&ids).expect("logits"));
        assert!(distance(&a, b) < limit, "type {kind}: {:.1e}", distance(&a, b));
        assert_eq!(theirs.config().end, ours.config().end);
    }
}

/// What loading would refuse, looking does, in the same words: whichever tensor is missing, has another shape, or is stored as
/// what is not read.
#[test]
fn looking_says_what_loading_would() {
    let golden: Golden = golden("transformers.json");
    for made in &golden.models {
        let dir = tempfile::tempdir().expect("folder");
        made.write(dir.path(), &made.config);
        let looked = Transformers::look(dir.path()).expect(&made.name);
        assert_eq!(&looked, open(dir.path(), 1).config(), "{}", made.name);
        let file = dir.path().join("model.safetensors");
        let whole = candle_core::safetensors::load(&file, &Device::Cpu).expect("loaded");
        let tied = made.config["tie_word_embeddings"] == true;
        for (at, (name, shape)) in made.tensors.iter().enumerate() {
            let mut tensors = whole.clone();
            let changed = match at % 3 {
                0 => None,
                1 => Some(Tensor::zeros([shape.as_slice(), &[2]].concat(), DType::F32, &Device::Cpu)),
                _ => Some(Tensor::zeros(shape.as_slice(), DType::U32, &Device::Cpu)),
            };
            match changed {
                None => tensors.remove(name),
                Some(other) => tensors.insert(name.clone(), other.expect("tensor")),
            };
            candle_core::safetensors::save(&tensors, &file).expect("saved");
            let options = TransformersOptions { threads: Some(1), context: Some(1) };
            let said = |error: edgemaxx_candle::Error| error.to_string();
            let (looked, opened) = (
                Transformers::look(dir.path()).map(drop),
                Transformers::open(dir.path(), &options).map(drop),
            );
            let (looked, opened) = (looked.map_err(said), opened.map_err(said));
            assert_eq!(looked, opened, "{}: {name}", made.name);
            let found = looked.err().unwrap_or_default();
            let unread = tied && name == "lm_head.weight";
            assert!(unread || found.contains(&format!("`{name}`")), "{}: {name}: {found}", made.name);
        }
    }
    let dir = tempfile::tempdir().expect("folder");
    let whole = model(8);
    let look = |file: &crate::gguf::File| {
        let looked = Transformers::look(&file.write(dir.path()));
        looked.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(look(&whole), Ok(()));
    for at in (0..whole.tensors.len()).filter(|at| whole.tensors[*at].0 != "output.weight") {
        let mut file = whole.clone();
        let name = if at % 2 == 0 {
            file.tensors.remove(at).0
        } else {
            file.tensors[at].1.insert(0, 1);
            file.tensors[at].0.clone()
        };
        let found = look(&file).expect_err(&name);
        assert!(found.contains(&name), "{name}: {found}");
    }
    // By this number it divides.
    let mut file = whole.clone();
    file.put("general.alignment", 4, 0u32.to_le_bytes().to_vec());
    let found = look(&file).expect_err("no multiple");
    assert!(found.contains("general.alignment"), "{found}");
    // Each of these it reads as one type only; a frequency of another it would take for none.
    for (key, kind, bytes) in [
        ("llama.attention.head_count_kv", 10, 2u64.to_le_bytes().to_vec()),
        ("llama.rope.dimension_count", 4, 8u32.to_le_bytes().to_vec()),
        ("llama.rope.freq_base", 12, 5e5f64.to_le_bytes().to_vec()),
        ("llama.attention.layer_norm_rms_epsilon", 12, 1e-5f64.to_le_bytes().to_vec()),
    ] {
        let mut file = whole.clone();
        file.put(key, kind, bytes);
        let found = look(&file).expect_err(key);
        assert!(found.contains(key), "{key}: {found}");
    }
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let golden: Golden = golden("transformers.json");
    let of = |name: &str| golden.models.iter().find(|model| model.name == name).expect(name);
    let dir = tempfile::tempdir().expect("folder");
    let written = |name: &str, key: &str, value: Value| {
        let mut config = of(name).config.clone();
        config[key] = value;
        of(name).write(dir.path(), &config);
    };
    for (name, key, value, expected) in [
        ("qwen2", "model_type", json!("llama"), "`llama`, expected qwen2, qwen3"),
        ("qwen2", "rope_scaling", json!({"type": "yarn", "factor": 4.0}), "`yarn`, expected none"),
        ("phi3", "rope_parameters", json!({"rope_type": "longrope"}), "`longrope`, expected none"),
        ("phi3", "rope_parameters", json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
        ("phi3", "partial_rotary_factor", json!(0.75), "partial_rotary_factor"),
        ("mistral", "num_hidden_layers", json!(1 << 20), "num_hidden_layers"),
        ("qwen2", "head_dim", json!(32), "head_dim"),
        ("qwen3", "head_dim", json!(1_u64 << 40), "head_dim"),
        ("gemma", "tie_word_embeddings", json!(false), "tie_word_embeddings"),
        ("gemma2", "query_pre_attn_scalar", json!(7), "query_pre_attn_scalar"),
        ("gemma", "quantization_config", json!({"bits": 4}), "quantization_config"),
        ("qwen3", "intermediate_size", json!(128), "the weights"),
        ("gemma", "hidden_act", json!("silu"), "`hidden_act`: found \"silu\""),
        ("gemma", "hidden_activation", json!("gelu"), "versions of transformers differ"),
        ("gemma2", "use_bidirectional_attention", json!(true), "use_bidirectional_attention"),
        ("phi3", "head_dim", json!(32), "head_dim"),
        ("mistral", "num_key_value_heads", json!(3), "num_attention_heads"),
        ("gemma2", "rope_parameters", json!({"full_attention": {"rope_type": "linear"}}), "full_attention"),
        ("mistral", "hidden_act", json!("quick_gelu"), "quick_gelu"),
    ] {
        written(name, key, value);
        let message = refused(dir.path(), None);
        assert!(
            message.contains(expected) && message.contains(dir.path().to_str().expect("text")),
            "{message}"
        );
    }
    // As transformers: it generates by another file, where that is there.
    written("mistral", "eos_token_id", json!(2));
    assert_eq!(open(dir.path(), 1).config().end, [2]);
    std::fs::write(dir.path().join("generation_config.json"), r#"{"eos_token_id": [3, 4]}"#)
        .expect("written");
    assert_eq!(open(dir.path(), 1).config().end, [3, 4]);
    std::fs::write(dir.path().join("generation_config.json"), r#"{"eos_token_id": [3, 4294967299]}"#)
        .expect("written");
    let message = refused(dir.path(), None);
    assert!(message.contains("generation_config.json") && message.contains("found 4294967299"), "{message}");
    std::fs::remove_file(dir.path().join("generation_config.json")).expect("removed");
    // Behind its window a token sees too much here.
    written("mistral", "sliding_window", json!(64));
    assert!(refused(dir.path(), Some(65)).contains("1 to the 64 positions"));
    written("qwen2", "sliding_window", json!(64));
    assert_eq!(open(dir.path(), 1).capacity(), 256, "a window that is not used");
    let mut model = open(dir.path(), 1);
    let far = |result: edgemaxx_candle::Result<&[f32]>| result.expect_err("must be refused").to_string();
    assert!(far(model.prefill(&[97])).contains("token 97"));
    assert!(far(model.prefill(&[])).contains("0 tokens"));
    assert!(far(model.prefill(&[5; 257])).contains("257 tokens"));

    let mut scaled = crate::gguf::model(8);
    scaled.tensors.push(("rope_freqs.weight".to_owned(), vec![32], 0, [0; 128].to_vec()));
    let path = scaled.write(dir.path());
    let message = refused(&path, None);
    assert!(message.contains("rope_freqs.weight") && message.contains("wrong positions"), "{message}");
    let mut headless = crate::gguf::model(8);
    headless.put("llama.attention.head_count", 4, 0u32.to_le_bytes().to_vec());
    assert!(refused(&headless.write(dir.path()), None).contains("head_count"));
    let mut other = crate::gguf::model(8);
    other.put("general.architecture", 8, crate::gguf::text("gemma3"));
    assert!(refused(&other.write(dir.path()), None).contains("`gemma3`"));
}
