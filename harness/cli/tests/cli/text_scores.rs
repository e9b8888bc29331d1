//! What engines say of texts that they need not have written: their scores.

use serde_json::Value;

use crate::common::edgemaxx;
use crate::text_contest::path;

/// What `edgemaxx engine check` says of the scores of an engine of `fixtures/engines/texts.py`: verdict and words.
fn checked(name: &str) -> Option<(String, String)> {
    let (engines, sdk, model) =
        (path("fixtures/engines"), path("harness/sdk/python"), path("fixtures/models/stories-llama"));
    let program = env!("CARGO_BIN_EXE_edgemaxx");
    let mut check = edgemaxx();
    check.args(["engine", "check", "--json", "--checkpoint", &model, "--request-timeout", "20"]);
    for file in [&engines, &sdk, program] {
        check.args(["--read", file]);
    }
    let output =
        check.args(["--", "python3", &format!("{engines}/texts.py"), name, program]).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = said["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["what"] == "longest prompt"), "{name}: {said:#}");
    let scores = checks.iter().find(|check| check["what"] == "scores")?;
    Some((scores["verdict"].as_str().unwrap().to_owned(), scores["detail"].as_str().unwrap().to_owned()))
}

#[test]
fn what_is_wrong_with_scores_is_told() {
    let first = "100% of its answer come first in them";
    let cases = [
        ("honest", "good", first),
        ("sums-beyond-one", "bad", "scores[0]: probabilities that sum to 57.9"),
        ("no-number", "bad", "NaN, which is no logarithm of a probability"),
        ("more-than-certain", "bad", "0.5, which is no logarithm of a probability"),
        ("too-many", "bad", "broke the protocol"),
        ("too-few", "bad", "bytes; 16 positions of 64 tokens in 8 bytes each are 8192"),
        ("one-twice", "bad", "twice"),
        ("least-first", "bad", "is more likely than the one before it"),
        ("one-position-late", "doubtful", "given all that stands before it"),
        ("silent-when-scored", "bad", "did not answer in time"),
        ("dies-when-scored", "bad", "died: exited with status 1"),
        ("scored-by-another", "doubtful", "come first in them"),
    ];
    for (name, verdict, words) in cases {
        let (found, said) = checked(name).unwrap_or_else(|| panic!("{name}: nothing was said of scores"));
        assert!(found == verdict && said.contains(words), "{name}: {found}: {said}");
    }
    assert_eq!(checked("does-not-score"), None, "who does not score is not asked");
}
