//! The tiny CLIP, its resizing included, against transformers 5.23.0 (`golden/clip.py`).

mod common;

use std::path::Path;

use common::{changed, picture};
use edgemaxx_quality::clip::ClipScorer;
use edgemaxx_quality::compare;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cosines: Vec<Cosines>,
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
fn cosines_equal_transformers_at_any_size() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-clip");
    let clip = ClipScorer::load(&folder).unwrap();
    let cases = golden().cosines;
    assert!(cases.len() >= 50);
    for case in cases {
        let a = picture(case.width, case.height, case.seed);
        let b = changed(&a, &case.kind, case.amount, case.seed);
        // SSIM refuses nothing here: every side is at least 31.
        let found = compare(&a, &b, Some(&case.prompt), Some(&clip)).unwrap();
        let label = format!("{}x{} {} {:?}", case.width, case.height, case.kind, case.prompt);
        for (value, expected) in [
            (found.clip_image_cosine, case.image),
            (found.clip_text_score_a, case.text_a),
            (found.clip_text_score_b, case.text_b),
        ] {
            assert!((value.unwrap() - expected).abs() < 1e-5, "{label}: {value:?} against {expected}");
        }
    }
}
