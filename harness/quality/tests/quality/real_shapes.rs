//! CLIPs of real shapes with random weights against transformers; see `golden/real_shapes.py`.

use std::path::PathBuf;

use crate::common::{changed, picture, text_scores, value, with_clip};
use serde_json::Value;

#[test]
#[ignore = "needs gigabytes that golden/real_shapes.py writes"]
fn cosines_equal_transformers_in_real_shapes() {
    let dir = PathBuf::from(std::env::var_os("EDGEMAXX_REAL_SHAPES").expect("EDGEMAXX_REAL_SHAPES"));
    let mut compared = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("reference.json")) else { continue };
        let judge = with_clip(&folder);
        for case in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let number = |key: &str| case[key].as_u64().unwrap();
            let a = picture(number("width") as u32, number("height") as u32, number("seed"));
            let b = changed(&a, case["kind"].as_str().unwrap(), number("amount") as i64, number("seed"));
            let found = judge.compare_pictures(&[a, b], case["prompt"].as_str(), &[]).unwrap();
            let [text_a, text_b] = text_scores(&found);
            for (value, key) in
                [(value(&found, "clip_image_cosine"), "image"), (text_a, "text_a"), (text_b, "text_b")]
            {
                let difference = (value.unwrap() - case[key].as_f64().unwrap()).abs();
                assert!(difference < 1e-4, "{}: {key} differs by {difference}", folder.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 0, "no reference.json found");
}
