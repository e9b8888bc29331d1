//! The tiny CLIP against transformers (`fixtures/golden`: cases.json, pairs.json).

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::task::picture;
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::PictureJudge;
use edgemaxx_quality::picture::clip::ClipEmbedder;
use edgemaxx_quality::{Artefact, Judge as _, Pair, records};
use serde_json::Value;

use crate::common::{text_scores, value, with_clip};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn golden(name: &str) -> PathBuf {
    fixtures().join("golden").join(name)
}

fn values(name: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap()
}

fn judge() -> PictureJudge {
    with_clip(&fixtures().join("models/emoji-clip"))
}

fn file(name: &str) -> Artefact {
    let path = golden(&format!("{name}.png"));
    let digest = Digest::of(Picture::open(&path).unwrap().rgb());
    Artefact { path, digest }
}

#[test]
fn cosines_equal_those_of_transformers() {
    let judge = judge();
    for pair in values("pairs.json") {
        let [a, b] = ["a", "b"].map(|k| golden(&format!("{}.png", pair[k].as_str().unwrap())));
        let found = judge.compare(&a, &b, None).unwrap();
        for key in ["clip_image_cosine", "wombo_2025"] {
            let (value, expected) = (value(&found, key), pair[key].as_f64().unwrap());
            assert!((value.unwrap() - expected).abs() < 1e-5, "{key}: {value:?}, {expected}");
        }
        assert_eq!(text_scores(&found), [None, None]);
    }
    for case in values("cases.json") {
        let path = golden(&format!("{}.png", case["name"].as_str().unwrap()));
        let found = judge.compare(&path, &path, case["prompt"].as_str()).unwrap();
        let expected = case["clip_text_image_cosine"].as_f64().unwrap();
        assert!((text_scores(&found)[0].unwrap() - expected).abs() < 1e-5, "{found:?}, {expected}");
        assert_eq!(value(&found, "psnr_db"), None);
    }
}

fn pairs() -> Vec<Pair> {
    let cases = values("cases.json");
    let text = |i: usize, key: &str| cases[i % cases.len()][key].as_str().unwrap().to_owned();
    (0..20)
        .map(|i| Pair {
            candidate: format!("c{}", i % 3),
            session: 1,
            pair: i as u32,
            request: i as u32,
            ask: picture::Ask { prompt: text(i, "prompt") }.checked().unwrap(),
            baseline: file(&text(i, "name")),
            answer: file(&text(i * 3 / 2, "name")),
            twin: None,
            scores: None,
        })
        .collect()
}

#[test]
fn records_are_ordered_and_equal_for_any_thread_count() {
    let judge = judge();
    let pairs = pairs();
    let views = judge.draw_views(Digest::of("head"));
    let records = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let records = pool.install(|| records(&judge, &pairs, &views, &|| ())).unwrap();
        assert!(records.iter().all(|r| r.values.len() == if r.is_identical() { 7 } else { 8 }));
        records.iter().map(|r| serde_json::to_string(r).unwrap()).collect::<Vec<_>>()
    };
    let one = records(1);
    assert_eq!(one, records(2));
    assert_eq!(one, records(4));
    for (i, line) in one.iter().enumerate() {
        assert!(line.contains(&format!("\"pair\":{i},")), "{line}");
    }
}

#[test]
fn without_clip_its_values_are_absent() {
    let found = PictureJudge::default().judge(&pairs()[..4], &[], &|| ()).unwrap();
    for name in ["clip_image_cosine", "wombo_2025", "held_back_ssim_gray"] {
        assert!(found.iter().all(|found| value(found, name).is_none()), "{name}");
    }
    assert_eq!(value(&found[0], "ssim_gray"), Some(1.0));
    assert_eq!(value(&found[0], "psnr_db"), None);
}

#[test]
fn exchanged_picture_is_noticed() {
    let mut pairs = pairs();
    pairs[1].answer.path = golden("red-apple.png");
    pairs[1].answer.digest = Digest::of("something else");
    let error = PictureJudge::default().judge(&pairs, &[], &|| ()).unwrap_err().to_string();
    assert!(error.contains("red-apple.png") && error.contains("digest"), "{error}");
}

#[test]
fn missing_model_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let message = |dir: &Path| ClipEmbedder::load(dir).err().unwrap().to_string();
    assert!(message(&dir.path().join("none")).contains("config.json"));
    for name in ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"] {
        let next = message(dir.path());
        let stem = name.split('.').next().unwrap();
        assert!(next.contains(stem), "{next} does not name {stem}");
        std::fs::copy(fixtures().join("models/emoji-clip").join(name), dir.path().join(name)).unwrap();
    }
    assert!(ClipEmbedder::load(dir.path()).is_ok());
    std::fs::write(dir.path().join("preprocessor_config.json"), r#"{"resample": 0}"#).unwrap();
    assert!(message(dir.path()).contains("field `resample`"));
}
