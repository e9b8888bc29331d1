//! Models of LLaMA's layout: against candle-transformers' own, and against themselves in other ways of computing.
use crate::common::distance;
use candle_core::{DType, Device, Tensor};
use candle_transformers::models::llama as theirs;
use edgemaxx_candle::gguf::TensorType;
use edgemaxx_candle::llama::{Choice, Llama, LlamaOptions, Wanted, greedy, log_probabilities};
use edgemaxx_contract::task::text::Noise;
use std::collections::HashMap;
use std::path::Path;

/// A small model with random weights: its configuration, with what is to be changed in it.
fn config(changes: serde_json::Value) -> serde_json::Value {
    let mut config = serde_json::json!({
        "model_type": "llama", "vocab_size": 131, "hidden_size": 96, "intermediate_size": 160,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
    });
    for (key, value) in changes.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

/// Writes configuration and weights of a small model.
fn write(dir: &Path, config: &serde_json::Value, dtype: DType) {
    std::fs::write(dir.join("config.json"), config.to_string()).expect("written");
    let size = |key: &str| config[key].as_u64().expect(key) as usize;
    let (width, inner) = (size("hidden_size"), size("intermediate_size"));
    let narrow = width / size("num_attention_heads") * size("num_key_value_heads");
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![size("vocab_size"), width]),
        ("model.norm.weight".to_owned(), vec![width]),
    ];
    if config["tie_word_embeddings"] == false {
        shapes.push(("lm_head.weight".to_owned(), vec![size("vocab_size"), width]));
    }
    for i in 0..size("num_hidden_layers") {
        for (name, shape) in [
            ("input_layernorm", vec![width]),
            ("self_attn.q_proj", vec![width, width]),
            ("self_attn.k_proj", vec![narrow, width]),
            ("self_attn.v_proj", vec![narrow, width]),
            ("self_attn.o_proj", vec![width, width]),
            ("post_attention_layernorm", vec![width]),
            ("mlp.gate_proj", vec![inner, width]),
            ("mlp.up_proj", vec![inner, width]),
            ("mlp.down_proj", vec![width, inner]),
        ] {
            shapes.push((format!("model.layers.{i}.{name}.weight"), shape));
        }
    }
    let tensors: HashMap<String, Tensor> = shapes
        .into_iter()
        .enumerate()
        .map(|(seed, (name, shape))| {
            let len = shape.iter().product();
            let mut values = edgemaxx_contract::noise::torch_randn(seed as u64 + 1, len);
            let scale = if shape.len() == 1 { 0.1 } else { 1.5 / (shape[1] as f32).sqrt() };
            let mean = if shape.len() == 1 { 1.0 } else { 0.0 };
            values.iter_mut().for_each(|v| *v = *v * scale + mean);
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).and_then(|t| t.to_dtype(dtype));
            (name, tensor.expect("tensor"))
        })
        .collect();
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).expect("saved");
}

fn open(path: &Path, weights: Option<TensorType>, threads: usize) -> Llama {
    let options = LlamaOptions { weights, threads: Some(threads), ..LlamaOptions::default() };
    Llama::open(path, &options).expect("opened")
}

/// Tokens that look random.
pub(crate) fn tokens(count: usize, vocabulary: u32) -> Vec<u32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) % vocabulary).collect()
}

/// Logits after every token.
pub(crate) fn all_logits(model: &mut Llama, ids: &[u32]) -> Vec<Vec<f32>> {
    model.rewind(0).expect("rewound");
    let mut all = vec![];
    model.extend_all(ids, &mut |_, logits| all.push(logits.to_vec())).expect("logits");
    all
}

/// candle-transformers' logits after the whole of `ids`.
fn their_logits(dir: &Path, ids: &[u32]) -> Vec<f32> {
    let text = std::fs::read_to_string(dir.join("config.json")).expect("config");
    let config: theirs::LlamaConfig = serde_json::from_str(&text).expect("their configuration");
    let config = config.into_config(false);
    let file = dir.join("model.safetensors");
    let tensors = candle_core::safetensors::load(file, &Device::Cpu).expect("weights");
    let weights = candle_nn::VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let model = theirs::Llama::load(weights, &config).expect("their model");
    let mut cache = theirs::Cache::new(false, DType::F32, &config, &Device::Cpu).expect("cache");
    let ids = Tensor::new(ids, &Device::Cpu).and_then(|t| t.unsqueeze(0)).expect("ids");
    let logits = model.forward(&ids, 0, &mut cache).and_then(|l| l.squeeze(0)?.to_vec1());
    logits.expect("their logits")
}

#[test]
fn logits_are_those_of_candle_transformers() {
    let llama3 = serde_json::json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64
    });
    for changes in [
        serde_json::json!({}),
        serde_json::json!({"tie_word_embeddings": true, "num_key_value_heads": 6, "rope_theta": 100_000.0}),
        serde_json::json!({"rope_scaling": llama3, "num_key_value_heads": 1}),
    ] {
        let dir = tempfile::tempdir().expect("folder");
        write(dir.path(), &config(changes.clone()), DType::F32);
        let mut model = open(dir.path(), None, 2);
        let ids = tokens(150, 131);
        let ours = all_logits(&mut model, &ids);
        for count in [1, 2, 31, 33, 64, 150] {
            let d = distance(&ours[count - 1], &their_logits(dir.path(), &ids[..count]));
            assert!(d < 1e-5, "{changes}: after {count} tokens {d:.1e}");
        }
    }
}

/// A prompt longer than one pass; read at once, token by token, in parts, after rewinding, and scored.
#[test]
fn logits_have_the_same_bits_however_a_text_is_read() {
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let dir = tempfile::tempdir().expect("folder");
        write(dir.path(), &config(serde_json::json!({})), dtype);
        let ids = tokens(300, 131);
        let mut one = open(dir.path(), None, 1);
        let want = all_logits(&mut one, &ids);
        for threads in [1, 2, 3] {
            let mut model = open(dir.path(), None, threads);
            assert_eq!(all_logits(&mut model, &ids), want, "{dtype:?}, {threads} threads");
            assert_eq!(model.prefill(&ids).expect("logits"), want[299]);
            assert_eq!(model.prefill(&ids[..290]).expect("logits"), want[289]);
            for (i, id) in ids[290..].iter().enumerate() {
                assert_eq!(model.decode(*id).expect("logits"), want[290 + i], "{dtype:?}, token {i}");
            }
            model.rewind(7).expect("rewound");
            assert_eq!(model.extend(&ids[7..12]).expect("logits"), want[11]);
            let mut scored = vec![];
            let (prompt, answer) = ids.split_at(40);
            model.score(prompt, answer, &mut |i, logits| scored.push((i, logits.to_vec()))).expect("scored");
            assert_eq!(scored.len(), answer.len());
            assert!(scored.iter().enumerate().all(|(i, (n, logits))| *n == i && *logits == want[39 + i]));
        }
    }
}

/// Greedy decoding, then forced decoding of what it said: the same choices.
#[test]
fn what_was_decoded_is_what_scoring_would_have_chosen() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let mut model = open(dir.path(), None, 2);
    let prompt = tokens(20, 131);
    let mut answer = vec![greedy(model.prefill(&prompt).expect("logits"))];
    for _ in 0..50 {
        let last = answer[answer.len() - 1];
        answer.push(greedy(model.decode(last).expect("logits")));
    }
    let mut chosen = vec![];
    let mut total = 0.0;
    model
        .score(&prompt, &answer, &mut |i, logits| {
            chosen.push(greedy(logits));
            total += log_probabilities(logits)[answer[i] as usize];
        })
        .expect("scored");
    assert_eq!(chosen, answer);
    assert!(total < 0.0 && total.is_finite());
}

/// Guessing ahead from the text changes how many tokens come at once, and not one of them; an answer ends where it may.
#[test]
fn guesses_change_no_token() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let mut model = open(dir.path(), None, 2);
    let prompt = tokens(20, 131);
    let mut made = |most: usize, ends: &[u32], sampled: bool, lookup: usize| {
        let choice = if sampled { Choice::Sampled(0.7, Box::new(Noise::new(5))) } else { Choice::Greedy };
        let mut parts: Vec<Vec<u32>> = Vec::new();
        let wanted = Wanted { prompt: &prompt, most, ends, choice, lookup };
        let mut each = |ids: &[u32]| {
            parts.push(ids.to_vec());
            true
        };
        model.generate(wanted, &mut each).expect("made");
        parts
    };
    let plain = made(200, &[], false, 0);
    assert!(plain.len() == 200 && plain.iter().all(|part| part.len() == 1));
    let plain = plain.concat();
    for lookup in [1, 4, 32] {
        let parts = made(200, &[], false, lookup);
        assert!(parts.len() < 200, "random weights repeat themselves: guesses were right");
        assert_eq!(parts.concat(), plain, "{lookup}");
    }
    assert_eq!(made(200, &[], true, 4).concat(), made(200, &[], true, 0).concat());
    assert_ne!(made(40, &[], true, 0).concat(), plain[..40]);
    let end = plain[30];
    let until = plain.iter().position(|id| *id == end).expect("there") + 1;
    for lookup in [0, 32] {
        assert_eq!(made(200, &[end], false, lookup).concat(), plain[..until]);
    }
    let mut one = 0;
    let wanted = Wanted { prompt: &prompt, most: 9, ends: &[], choice: Choice::Greedy, lookup: 0 };
    model
        .generate(wanted, &mut |_| {
            one += 1;
            false
        })
        .expect("made");
    assert_eq!(one, 1, "nobody listens any more");
}

/// Quantised while loading: nearer to the model the more bits there are, and the same by any way of reading.
#[test]
fn quantising_costs_what_its_bits_say() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let ids = tokens(40, 131);
    let whole = all_logits(&mut open(dir.path(), None, 1), &ids);
    let mut far = Vec::new();
    for weights in [TensorType::Q8_0, TensorType::Q4_1, TensorType::Q4_0] {
        let logits = all_logits(&mut open(dir.path(), Some(weights), 1), &ids);
        assert_eq!(logits, all_logits(&mut open(dir.path(), Some(weights), 3), &ids));
        far.push(distance(&logits[39], &whole[39]));
    }
    assert!(far[0] > 1e-4 && far[0] < 0.1, "{far:?}");
    // Eight bits have some sixteen times as many values as four.
    assert!(far[1..].iter().all(|far_4| (8.0..32.0).contains(&(far_4 / far[0]))), "{far:?}");
    let no = LlamaOptions { weights: Some(TensorType::Q4K), ..LlamaOptions::default() };
    let error = Llama::open(dir.path(), &no).err().expect("refused").to_string();
    assert!(error.contains("`weights`: found Q4K"), "{error}");
}

/// Positions are brought nearer: another model, but for the first token.
#[test]
fn a_factor_scales_the_positions() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let linear = tempfile::tempdir().expect("folder");
    let scaling = serde_json::json!({"rope_scaling": {"rope_type": "linear", "factor": 4.0}});
    write(linear.path(), &config(scaling), DType::F32);
    let options = LlamaOptions { rope_factor: Some(4.0), threads: Some(1), ..LlamaOptions::default() };
    let ids = tokens(30, 131);
    let scaled = all_logits(&mut Llama::open(dir.path(), &options).expect("opened"), &ids);
    let plain = all_logits(&mut open(dir.path(), None, 1), &ids);
    assert_eq!(scaled, all_logits(&mut open(linear.path(), None, 1), &ids));
    assert!(scaled[0] == plain[0] && distance(&scaled[29], &plain[29]) > 1e-3);
}

/// Rounding weights to half before computing in f32 changes logits a little, and as asked for.
#[test]
fn a_type_asked_for_rounds_the_matrices() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let half = tempfile::tempdir().expect("folder");
    write(half.path(), &config(serde_json::json!({})), DType::F16);
    let ids = tokens(20, 131);
    let whole = all_logits(&mut open(dir.path(), None, 1), &ids);
    let rounded = all_logits(&mut open(dir.path(), Some(TensorType::F16), 1), &ids);
    let widened = all_logits(&mut open(half.path(), Some(TensorType::F32), 1), &ids);
    let stored = all_logits(&mut open(half.path(), None, 1), &ids);
    assert_eq!(widened, stored);
    let d = distance(&rounded[19], &whole[19]);
    assert!(d > 1e-6 && d < 1e-2, "{d:.1e}");
}

#[test]
fn unfit_folders_are_refused_by_field() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({})), DType::F32);
    let llama3 = |high: f64| serde_json::json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": high});
    for (key, value, parts) in [
        ("model_type", "qwen2".into(), ["field `model_type`: found `qwen2`", "`llama`"]),
        ("hidden_act", "gelu".into(), ["field `hidden_act`", "`silu`"]),
        ("attention_bias", true.into(), ["field `attention_bias`", "without biases"]),
        (
            "num_key_value_heads",
            4.into(),
            ["field `num_key_value_heads`: found 4", "a divisor of the 6 heads"],
        ),
        ("head_dim", 15.into(), ["field `head_dim`: found 15", "an even number"]),
        ("head_dim", 32.into(), ["`model.layers.0.self_attn.q_proj.weight` has shape [96, 96]", "[192, 96]"]),
        ("num_hidden_layers", (1u64 << 40).into(), ["field `num_hidden_layers`", "1 to 1024"]),
        ("num_hidden_layers", 4.into(), ["`model.layers.3.input_layernorm.weight` is missing", "[96]"]),
        ("vocab_size", 130.into(), ["`model.embed_tokens.weight` has shape [131, 96]", "[130, 96]"]),
        ("rms_norm_eps", 0.0.into(), ["field `rms_norm_eps`", "above 0"]),
        ("rope_theta", 0.0.into(), ["field `rope_theta`", "at least 1"]),
        ("eos_token_id", 131.into(), ["eos_token_id`: found 131", "below the vocabulary's 131"]),
        (
            "rope_scaling",
            serde_json::json!({"type": "yarn", "factor": 2.0}),
            ["rope_scaling.rope_type", "`yarn`"],
        ),
        ("rope_scaling", serde_json::json!({"type": "dynamic", "factor": 2.0}), ["rope_type", "`dynamic`"]),
        ("rope_parameters", serde_json::json!({"rope_type": "longrope"}), ["rope_type", "`longrope`"]),
        (
            "rope_parameters",
            serde_json::json!({"partial_rotary_factor": 0.5}),
            ["partial_rotary_factor", "1:"],
        ),
        ("partial_rotary_factor", 0.25.into(), ["partial_rotary_factor", "1:"]),
        (
            "rope_scaling",
            serde_json::json!({"type": "linear"}),
            ["rope_scaling.factor`: found nothing", "number"],
        ),
        ("rope_scaling", llama3(2.0), ["rope_scaling.high_freq_factor", "above low_freq_factor's 4"]),
        // What one version of transformers reads of it is not what another reads.
        (
            "rope_parameters",
            serde_json::json!({"rope_type": "default", "rope_theta": 5e5}),
            ["field `rope_theta`: found 10000", "the 500000 of rope_parameters"],
        ),
        (
            "quantization_config",
            serde_json::json!({"quant_method": "gptq", "bits": 4}),
            ["field `quantization_config`", "a GGUF file"],
        ),
    ] {
        let changed = config(serde_json::json!({key: value}));
        std::fs::write(dir.path().join("config.json"), changed.to_string()).expect("written");
        let message =
            Llama::open(dir.path(), &LlamaOptions::default()).err().expect("must be refused").to_string();
        for part in parts {
            assert!(message.contains(part), "{key}: `{part}` is missing in: {message}");
        }
    }
    let whole = config(serde_json::json!({}));
    std::fs::write(dir.path().join("config.json"), whole.to_string()).expect("written");
    let context = LlamaOptions { context: Some(2000), ..LlamaOptions::default() };
    let message = Llama::open(dir.path(), &context).err().expect("must be refused").to_string();
    assert!(message.contains("field `context`: found 2000, expected 1 to the model's 1024"), "{message}");
    let mut model = open(dir.path(), None, 1);
    for (ids, part) in [(vec![], "0 tokens"), (vec![131], "token 131"), (vec![1; 1025], "1 to 1024")] {
        let message = model.prefill(&ids).expect_err("must be refused").to_string();
        assert!(message.contains(part), "{message}");
    }
    assert!(model.rewind(1).is_err());
}

/// transformers 5 writes the rotary embedding's parameters elsewhere, and models may have several tokens that end a text.
#[test]
fn newer_configurations_are_read() {
    let dir = tempfile::tempdir().expect("folder");
    let old =
        config(serde_json::json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}}));
    write(dir.path(), &old, DType::F32);
    let ids = tokens(40, 131);
    let want = all_logits(&mut open(dir.path(), None, 1), &ids);
    let mut new = config(serde_json::json!({
        "eos_token_id": [2, 3],
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5},
    }));
    new.as_object_mut().expect("an object").remove("rope_theta");
    std::fs::write(dir.path().join("config.json"), new.to_string()).expect("written");
    let mut model = open(dir.path(), None, 1);
    assert_eq!(model.config().end, [2, 3]);
    assert_eq!(all_logits(&mut model, &ids), want);
    // Two shapes of one thing.
    new["rope_scaling"] = serde_json::json!({"rope_type": "linear", "type": "linear", "factor": 2.0});
    std::fs::write(dir.path().join("config.json"), new.to_string()).expect("written");
    assert_eq!(all_logits(&mut open(dir.path(), None, 1), &ids), want);
    new["rope_scaling"]["factor"] = 4.0.into();
    std::fs::write(dir.path().join("config.json"), new.to_string()).expect("written");
    let message =
        Llama::open(dir.path(), &LlamaOptions::default()).err().expect("must be refused").to_string();
    assert!(
        message.contains("field `rope_scaling`: found another, expected the same as rope_parameters"),
        "{message}"
    );
}

/// What transformers' class takes for keys that are not there.
#[test]
fn absent_keys_mean_what_they_mean_to_transformers() {
    let dir = tempfile::tempdir().expect("folder");
    let mut sparse = config(serde_json::json!({}));
    let fields = sparse.as_object_mut().expect("an object");
    for key in [
        "bos_token_id",
        "eos_token_id",
        "rms_norm_eps",
        "rope_theta",
        "max_position_embeddings",
        "hidden_act",
    ] {
        assert!(fields.remove(key).is_some(), "{key}");
    }
    write(dir.path(), &sparse, DType::F32);
    let config = open(dir.path(), None, 1).config().clone();
    assert_eq!((config.begin, &config.end[..], config.positions), (Some(1), &[2][..], 2048));
    assert_eq!((config.epsilon, config.theta, config.tied), (1e-6, 1e4, false));
    sparse["eos_token_id"] = serde_json::Value::Null;
    std::fs::write(dir.path().join("config.json"), sparse.to_string()).expect("written");
    assert!(open(dir.path(), None, 1).config().end.is_empty());
}

/// transformers generates by `generation_config.json` where it is there: an answer ends where it ends there, and a token that
/// the vocabulary lacks is that file's fault, or that of `config.json` where the other says nothing.
#[test]
fn answers_end_by_the_generation_config() {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &config(serde_json::json!({"eos_token_id": 2})), DType::F32);
    let generates =
        |text: &str| std::fs::write(dir.path().join("generation_config.json"), text).expect("written");
    let ends = || open(dir.path(), None, 1).config().end.clone();
    assert_eq!(ends(), [2]);
    generates(r#"{"eos_token_id": [2, 7], "temperature": 0.6}"#);
    assert_eq!(ends(), [2, 7]);
    generates(r#"{"temperature": 0.6}"#);
    assert_eq!(ends(), [2]);
    let refused = |file: &str, field: &str, found: &str| {
        let error = Llama::open(dir.path(), &LlamaOptions::default()).err().expect("must be refused");
        let message = error.to_string();
        let path = dir.path().join(file);
        assert!(message.contains(path.to_str().expect("text")), "{file}: {message}");
        assert!(message.contains(&format!("field `{field}`: found {found}")), "{message}");
    };
    generates(r#"{"eos_token_id": 131}"#);
    refused("generation_config.json", "eos_token_id", "131");
    generates(r#"{"eos_token_id": [2, 4294967298]}"#);
    refused("generation_config.json", "eos_token_id", "4294967298");
    generates(r#"{"bos_token_id": 131, "eos_token_id": 2}"#);
    refused("generation_config.json", "bos_token_id", "131");
    write(dir.path(), &config(serde_json::json!({"bos_token_id": 131, "eos_token_id": 2})), DType::F32);
    generates(r#"{"eos_token_id": 2}"#);
    refused("config.json", "bos_token_id", "131");
    generates(r#"{"bos_token_id": 130}"#);
    assert_eq!(open(dir.path(), None, 1).config().begin, Some(130), "by what counts alone");
}
