//! Resizing against Pillow 13.0.0, the tiny CLIP against transformers 5.23.0 (`golden/clip.py`).

use std::path::Path;

use crate::common::{changed, picture, text_scores, value, with_clip};
use edgemaxx_contract::digest::Digest;
use edgemaxx_quality::picture::resample::{Filter, resize};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    resizes: Vec<Resize>,
    cosines: Vec<Cosines>,
}

#[derive(Deserialize)]
struct Resize {
    width: u32,
    height: u32,
    seed: u64,
    to_width: u32,
    to_height: u32,
    filter: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Cosines {
    width: u32,
    height: u32,
    seed: u64,
    kind: String,
    amount: i64,
    prompt: String,
    image: f64,
    text_a: f64,
    text_b: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/clip.json")).unwrap()
}

#[test]
fn resizing_equals_pillow_bit_for_bit() {
    let cases = golden().resizes;
    assert!(cases.len() >= 20);
    for case in cases {
        let filter = Filter::from_pillow(case.filter).unwrap();
        let p = picture(case.width, case.height, case.seed);
        let out = resize(&p, case.to_width, case.to_height, filter).unwrap();
        let label =
            format!("{}x{} to {}x{} {filter:?}", case.width, case.height, case.to_width, case.to_height);
        assert_eq!(Digest::of(out.rgb()).to_string(), case.sha256, "{label}");
    }
}

#[test]
fn cosines_equal_transformers_at_any_size() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-clip");
    let judge = with_clip(&folder);
    let cases = golden().cosines;
    assert!(cases.len() >= 50);
    for case in cases {
        let a = picture(case.width, case.height, case.seed);
        let b = changed(&a, &case.kind, case.amount, case.seed);
        // SSIM refuses nothing here: every side is at least 31.
        let found = judge.compare_pictures(&[a, b], Some(&case.prompt), &[]).unwrap();
        let [text_a, text_b] = text_scores(&found);
        let label = format!("{}x{} {} {:?}", case.width, case.height, case.kind, case.prompt);
        for (value, expected) in
            [(value(&found, "clip_image_cosine"), case.image), (text_a, case.text_a), (text_b, case.text_b)]
        {
            assert!((value.unwrap() - expected).abs() < 1e-5, "{label}: {value:?} against {expected}");
        }
    }
}
