//! GGUF files: numbers as the package `gguf` reads them, models in every quantisation, and files that are not to be trusted.
use crate::common::distance;
use crate::llama::{all_logits, tokens};
use edgemaxx_candle::Accelerator;
use edgemaxx_candle::copies::Fingerprint;
use edgemaxx_candle::gguf::{Gguf, TensorType};
use edgemaxx_candle::llama::{Llama, LlamaOptions, look};
use std::path::{Path, PathBuf};

/// A file to write: values and tensors as bytes.
#[derive(Clone)]
pub(crate) struct File {
    version: u32,
    values: Vec<(String, u32, Vec<u8>)>,
    /// Name, dimensions (the longest stride last), type, bytes.
    pub(crate) tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

pub(crate) fn text(t: &str) -> Vec<u8> {
    [&(t.len() as u64).to_le_bytes()[..], t.as_bytes()].concat()
}

fn texts(all: &[String]) -> Vec<u8> {
    let mut bytes = [&8u32.to_le_bytes()[..], &(all.len() as u64).to_le_bytes()].concat();
    all.iter().for_each(|t| bytes.extend(text(t)));
    bytes
}

impl File {
    fn empty() -> Self {
        Self { version: 3, values: vec![], tensors: vec![] }
    }

    pub(crate) fn put(&mut self, key: &str, kind: u32, bytes: Vec<u8>) {
        self.values.retain(|v| v.0 != key);
        self.values.push((key.to_owned(), kind, bytes));
    }

    fn number(&mut self, key: &str, value: u32) {
        self.put(key, 4, value.to_le_bytes().to_vec());
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.values.len() as u64).to_le_bytes());
        for (key, kind, bytes) in &self.values {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
        let mut place = 0u64;
        for (name, shape, kind, bytes) in &self.tensors {
            out.extend(text(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(place.to_le_bytes());
            place = (place + bytes.len() as u64).next_multiple_of(32);
        }
        for (_, _, _, bytes) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(bytes);
        }
        out
    }

    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("model.gguf");
        std::fs::write(&path, self.bytes()).expect("written");
        path
    }
}

/// Numbers of a block, its bytes, and where its f16 scales lie.
fn block(kind: u32) -> (usize, usize, &'static [usize]) {
    match kind {
        2 => (32, 18, &[0]),
        3 => (32, 20, &[0, 2]),
        8 => (32, 34, &[0]),
        12 => (256, 144, &[0, 2]),
        14 => (256, 210, &[208]),
        1 => (1, 2, &[]),
        _ => (1, 4, &[]),
    }
}

fn random(seed: &mut u64) -> u8 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 56) as u8
}

/// Rows of random numbers of about one over the root of their length.
fn tensor(kind: u32, rows: usize, inner: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let size = 1.0 / (inner as f32).sqrt();
    let (numbers, bytes, scales) = block(kind);
    let count = rows * inner / numbers;
    if scales.is_empty() {
        let values = edgemaxx_contract::noise::torch_randn(seed, count);
        let half = |v: &f32| half::f16::from_f32(v * size).to_le_bytes().to_vec();
        let whole = |v: &f32| (v * size).to_le_bytes().to_vec();
        return values.iter().flat_map(|v| if kind == 1 { half(v) } else { whole(v) }).collect();
    }
    let unit = match kind {
        8 => 70.0,
        12 => 250.0,
        14 => 1200.0,
        _ => 5.0,
    };
    let mut out = vec![];
    for _ in 0..count {
        let mut one: Vec<u8> = (0..bytes).map(|_| random(&mut state)).collect();
        for (i, at) in scales.iter().enumerate() {
            // a shift takes the numbers' mean away
            let v = size / unit * if i == 1 && kind == 3 { -7.5 } else { 1.0 };
            one[*at..at + 2].copy_from_slice(&half::f16::from_f32(v).to_le_bytes());
        }
        out.extend(one);
    }
    out
}

/// A small model whose matrices are all of one type.
pub(crate) fn model(kind: u32) -> File {
    let (width, inner, vocabulary, layers) = (256u32, 512u32, 96u32, 2u32);
    let mut file = File::empty();
    file.put("general.architecture", 8, text("llama"));
    file.number("llama.block_count", layers);
    file.number("llama.context_length", 512);
    file.number("llama.embedding_length", width);
    file.number("llama.feed_forward_length", inner);
    file.number("llama.attention.head_count", 4);
    file.number("llama.attention.head_count_kv", 2);
    file.number("llama.rope.dimension_count", 64);
    file.put("llama.attention.layer_norm_rms_epsilon", 6, 1e-5f32.to_le_bytes().to_vec());
    let mut entries: Vec<String> = (0..vocabulary).map(|i| format!("<{i}>")).collect();
    for (i, entry) in ["a", "b", "ab", "Ġ", "Ġab", "<end>"].iter().enumerate() {
        entries[i] = (*entry).to_owned();
    }
    file.put("tokenizer.ggml.model", 8, text("gpt2"));
    file.put("tokenizer.ggml.pre", 8, text("smollm"));
    file.put("tokenizer.ggml.tokens", 9, texts(&entries));
    file.put("tokenizer.ggml.merges", 9, texts(&["a b".to_owned(), "Ġ ab".to_owned()]));
    let kinds: Vec<u8> =
        (0..vocabulary).flat_map(|i| (if i == 5 { 3i32 } else { 1 }).to_le_bytes()).collect();
    let list = [&5u32.to_le_bytes()[..], &u64::from(vocabulary).to_le_bytes(), &kinds].concat();
    file.put("tokenizer.ggml.token_type", 9, list);
    file.number("tokenizer.ggml.eos_token_id", 5);
    let (width, inner, vocabulary) = (width as usize, inner as usize, vocabulary as usize);
    let mut matrix = |name: String, rows: usize, inner: usize| {
        let seed = file.tensors.len() as u64 + 1;
        file.tensors.push((name, vec![rows as u64, inner as u64], kind, tensor(kind, rows, inner, seed)));
    };
    matrix("token_embd.weight".to_owned(), vocabulary, width);
    for i in 0..layers {
        matrix(format!("blk.{i}.attn_q.weight"), width, width);
        matrix(format!("blk.{i}.attn_k.weight"), 128, width);
        matrix(format!("blk.{i}.attn_v.weight"), 128, width);
        matrix(format!("blk.{i}.attn_output.weight"), width, width);
        matrix(format!("blk.{i}.ffn_gate.weight"), inner, width);
        matrix(format!("blk.{i}.ffn_up.weight"), inner, width);
        matrix(format!("blk.{i}.ffn_down.weight"), width, inner);
    }
    let ones: Vec<u8> = (0..width).flat_map(|i| (1.0 + i as f32 * 1e-3).to_le_bytes()).collect();
    let mut norm = |name: String| file.tensors.push((name, vec![width as u64], 0, ones.clone()));
    norm("output_norm.weight".to_owned());
    for i in 0..layers {
        norm(format!("blk.{i}.attn_norm.weight"));
        norm(format!("blk.{i}.ffn_norm.weight"));
    }
    file
}

fn open(path: &Path, weights: Option<TensorType>, threads: usize) -> Result<Llama, String> {
    let options = LlamaOptions { weights, threads: Some(threads), ..LlamaOptions::default() };
    Llama::open(path, &options).map_err(|e| e.to_string())
}

#[derive(serde::Deserialize)]
struct Block {
    r#type: u32,
    name: String,
    numbers: u64,
    bytes: String,
    values: Vec<u32>,
}

/// Known answers by `gguf` 0.19 (golden/make_llama.py).
#[test]
fn numbers_are_those_of_the_package_gguf() {
    let cases: Vec<Block> = serde_json::from_str(include_str!("golden/gguf.json")).expect("golden");
    assert_eq!(cases.len(), 5);
    let dir = tempfile::tempdir().expect("folder");
    for case in cases {
        let hex = |i: usize| u8::from_str_radix(&case.bytes[2 * i..2 * i + 2], 16).expect("hex");
        let bytes: Vec<u8> = (0..case.bytes.len() / 2).map(hex).collect();
        let mut file = File::empty();
        file.tensors.push(("t".to_owned(), vec![2, case.numbers], case.r#type, bytes));
        for version in [2, 3] {
            file.version = version;
            let gguf = Gguf::open(&file.write(dir.path())).expect("opened");
            let bits: Vec<u32> = gguf.values_of("t").expect("values").iter().map(|v| v.to_bits()).collect();
            assert_eq!(bits, case.values, "{}", case.name);
        }
    }
}

/// Quantised in registers or widened to f32 when loaded: the same logits but for rounding, the same bits by any way of
/// reading.
#[test]
fn every_quantisation_computes_what_its_numbers_say() {
    let dir = tempfile::tempdir().expect("folder");
    let ids = tokens(70, 96);
    for kind in [0, 1, 2, 3, 8, 12, 14] {
        let path = model(kind).write(dir.path());
        let widened = all_logits(&mut open(&path, Some(TensorType::F32), 2).expect("opened"), &ids);
        let mut one = open(&path, None, 1).expect("opened");
        let stored = all_logits(&mut one, &ids);
        for at in [0, 40, 69] {
            let d = distance(&stored[at], &widened[at]);
            assert!(d < 1e-5, "type {kind}, after {} tokens: {d:.1e}", at + 1);
        }
        let norm = stored[69].iter().map(|v| v * v).sum::<f32>();
        assert!(norm > 1e-3, "type {kind}: logits of size {norm}");
        let mut three = open(&path, None, 3).expect("opened");
        assert_eq!(three.prefill(&ids[..60]).expect("logits"), stored[59], "type {kind}");
        for (i, id) in ids[60..].iter().enumerate() {
            assert_eq!(three.decode(*id).expect("logits"), stored[60 + i], "type {kind}, token {i}");
        }
    }
}

#[test]
fn the_vocabulary_in_a_file_is_a_tokenizer() {
    let dir = tempfile::tempdir().expect("folder");
    let llama = open(&model(8).write(dir.path()), None, 1).expect("opened");
    assert_eq!(llama.config().end, [5]);
    let tokenizer = llama.tokenizer().expect("a tokenizer");
    assert_eq!(tokenizer.encode("ab abba<end>").expect("ids"), [2, 4, 1, 0, 5]);
    assert_eq!(tokenizer.decode(&[2, 4, 1, 0, 5]).expect("text"), "ab abba<end>");
    // a model is of use without, to those who speak token ids
    for (key, value, expected) in [
        ("tokenizer.ggml.model", "llama", "`gpt2`, byte-level pairing"),
        ("tokenizer.ggml.pre", "other", "`smollm`"),
    ] {
        let mut file = model(8);
        file.put(key, 8, text(value));
        let mut llama = open(&file.write(dir.path()), None, 1).expect("opened");
        let message = llama.tokenizer().err().expect("must be refused").to_string();
        assert!(message.contains(key) && message.contains(expected), "{message}");
        assert_eq!(llama.prefill(&[1, 2]).expect("logits").len(), 96);
    }
}

#[test]
fn unfit_files_are_refused_with_what_is_wrong() {
    let dir = tempfile::tempdir().expect("folder");
    let good = model(8);
    let refused = |file: &File, parts: &[&str]| {
        let path = file.write(dir.path());
        let message = open(&path, None, 1).err().expect("must be refused");
        let looked = look(&path, Accelerator::Cpu, &LlamaOptions::default()).expect_err("must be refused");
        assert_eq!(looked.to_string(), message, "known without reading a weight");
        for part in parts.iter().chain(&["model.gguf"]) {
            assert!(message.contains(part), "`{part}` is missing in: {message}");
        }
    };
    let with = |change: &dyn Fn(&mut File)| {
        let mut file = good.clone();
        change(&mut file);
        file
    };
    refused(&with(&|f| f.version = 1), &["version 1, expected 2 or 3"]);
    refused(
        &with(&|f| f.put("general.architecture", 8, text("qwen2"))),
        &["general.architecture", "`qwen2`"],
    );
    refused(&with(&|f| f.number("general.alignment", 3)), &["general.alignment", "power of two"]);
    refused(
        &with(&|f| f.number("llama.block_count", 3)),
        &["`blk.2.attn_norm.weight` is missing", "the file's own metadata"],
    );
    refused(&with(&|f| f.number("llama.block_count", 1 << 20)), &["llama.block_count", "1 to 1024"]);
    refused(
        &with(&|f| f.number("llama.attention.head_count_kv", 3)),
        &["head_count_kv", "a divisor of the 4"],
    );
    refused(
        &with(&|f| f.number("llama.feed_forward_length", 256)),
        &["ffn_gate", "[512, 256], expected [256, 256]"],
    );
    refused(
        &with(&|f| f.put("llama.rope.scaling.type", 8, text("yarn"))),
        &["rope.scaling.type", "`linear`"],
    );
    let factors = ("rope_freqs.weight".to_owned(), vec![8], 0, vec![0; 32]);
    refused(
        &with(&|f| f.tensors.push(factors.clone())),
        &["`rope_freqs.weight` has shape [8], expected [32]", "the file's own metadata"],
    );
    refused(&with(&|f| f.tensors[1].2 = 6), &["blk.0.attn_q.weight", "stored as Q5_0, expected F32"]);
    refused(&with(&|f| f.tensors[1].1 = vec![256, 250]), &["blk.0.attn_q.weight", "no whole blocks"]);
    refused(&with(&|f| f.tensors[1].1 = vec![u64::MAX, 1 << 40]), &["blk.0.attn_q.weight"]);
    refused(&with(&|f| f.tensors[1].1 = vec![1; 5]), &["5 dimensions, expected 1 to 4"]);
    refused(&with(&|f| f.tensors[1].0 = "token_embd.weight".to_owned()), &["there twice"]);
    let lists = [9u32.to_le_bytes(), [1, 0, 0, 0], [0; 4]].concat();
    refused(&with(&|f| f.put("x", 9, lists.clone())), &["`x`", "a list of lists"]);
    let endless = [&8u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    refused(&with(&|f| f.put("x", 9, endless.clone())), &["`x`", "do not fit"]);
    let whole = good.bytes();
    let path = dir.path().join("model.gguf");
    let headed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("written");
        Gguf::open(&path).err().expect("must be refused").to_string()
    };
    assert!(headed(&|b| b[0] = b'X').contains("does not begin with `GGUF`"));
    assert!(headed(&|b| b[8..16].fill(255)).contains("tensors at byte 8 do not fit"));
    assert!(headed(&|b| b.truncate(b.len() - 1)).contains("truncated"));
    // cut anywhere in the header or changed there: refused or read, never a panic
    let mut seed = 1;
    for cut in (0..4000).step_by(37) {
        assert!(!headed(&|b| b.truncate(cut)).is_empty());
        let mut bytes = whole.clone();
        for _ in 0..8 {
            let at = (usize::from(random(&mut seed)) * 256 + usize::from(random(&mut seed))) % 4000;
            bytes[at] = random(&mut seed);
        }
        std::fs::write(&path, bytes).expect("written");
        let _ = open(&path, None, 1);
    }
    assert!(TensorType::from_number(6).is_err());
}

/// Its blocks are not cut, and its numbers are looked at like those of any matrix.
#[test]
fn a_vector_of_blocks_is_fingerprinted() {
    let dir = tempfile::tempdir().expect("folder");
    let plain = Fingerprint::of(&model(2).write(dir.path()), 5).expect("fingerprint").elements();
    let count = 1usize << 15;
    for kind in [2, 3, 8, 12, 14] {
        let mut file = model(2);
        let bytes = tensor(kind, 1, count, 3);
        file.tensors.push(("vector".to_owned(), vec![count as u64], kind, bytes));
        let both = Fingerprint::of(&file.write(dir.path()), 5).expect("fingerprint").elements();
        assert_eq!(both, plain + count as u64, "{kind}");
    }
}
