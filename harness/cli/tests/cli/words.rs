//! What serves every task speaks of requests and answers: which crates and modules do not say what is asked and
//! answered in one task or another.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{before_tests, repository};

/// Words of the tasks that there are.
const WORDS: &[&str] = &[
    "picture",
    "pictures",
    "image",
    "images",
    "latent",
    "latents",
    "step",
    "steps",
    "guidance",
    "width",
    "height",
    "token",
    "tokens",
    "tokenizer",
    "vocabulary",
    "prompt",
    "prompts",
];

/// Folders and files in which none of [`WORDS`] stands outside of tests.
const SPEAK_OF_NO_TASK: &[&str] = &[
    "harness/contract/src/comparison.rs",
    "harness/contract/src/day.rs",
    "harness/contract/src/digest.rs",
    "harness/contract/src/environment.rs",
    "harness/contract/src/estimate.rs",
    "harness/contract/src/format.rs",
    "harness/contract/src/input.rs",
    "harness/contract/src/plan",
    "harness/contract/src/ranking.rs",
    "harness/contract/src/sample",
    "harness/contract/src/telemetry",
    "harness/contract/src/shown_text.rs",
    "harness/contract/src/weights.rs",
    "harness/protocol/src",
    "harness/files/src",
    "harness/fleet/src",
    "harness/engine/src/cost.rs",
    "harness/engine/src/check",
    "harness/engine/src/check.rs",
    "harness/engine/src/clock.rs",
    "harness/engine/src/engine.rs",
    "harness/engine/src/null.rs",
    "harness/engine/src/process",
    "harness/engine/src/serve.rs",
    "harness/devices/src",
    "harness/measure/src",
    "harness/analyze/src",
    "harness/validator/src",
    "harness/chain/src",
    "harness/seal/src",
];

/// Where one of the words means something else, and what.
const SOMETHING_ELSE: &[(&str, &[&str], &str)] = &[
    (
        "harness/contract/src/plan",
        &["prompts"],
        "the file that is asked from: a contest's key `request.prompts`",
    ),
    ("harness/contract/src/telemetry/record.rs", &["step"], "a card that keeps step with others"),
    ("harness/protocol/src/decode.rs", &["step"], "a connection that is out of step"),
    ("harness/engine/src/process/driver.rs", &["step"], "two sides that are in step"),
    ("harness/analyze/src/elimination.rs", &["step", "steps"], "along a grid of spreads"),
    ("harness/analyze/src/estimators", &["step", "width"], "Holm's step-down; the width of an interval"),
    ("harness/analyze/src/inference/power.rs", &["step", "steps"], "of an integration rule"),
    ("harness/analyze/src/sequential.rs", &["step", "width"], "of a random walk; of a table of statistics"),
    ("harness/analyze/src/sources/csv.rs", &["prompt"], "what the column `request` may be called, too"),
    ("harness/analyze/src/stages/compare/comparable.rs", &["prompts"], "the file that is asked from"),
    ("harness/validator/src/driver/mod.rs", &["step"], "what a validator does next"),
    ("harness/validator/src/machine.rs", &["step"], "what a validator does next"),
    ("harness/validator/src/store.rs", &["step"], "of a schema, and what a validator does next"),
    ("harness/chain/src/node", &["height", "step", "tokens"], "blocks, epochs, the subnet's currency"),
    ("harness/chain/src/weights", &["height"], "of a block"),
    ("harness/seal/src/wallet", &["prompt"], "for a password"),
];

/// Pairs of words that are one word everywhere.
const ONE_WORD: &[(&str, &str)] = &[("next", "step"), ("half", "width")];

/// The words of a line, those of identifiers apart: `half_width`, `halfWidth` and `HALF_WIDTH` are two.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in line.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("one").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Every Rust file below a path, tests apart.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.ends_with("tests") || path.ends_with("tests.rs") {
        return;
    }
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| files(entry, found));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

#[test]
fn what_serves_every_task_names_none() {
    let root = repository("");
    let (mut wrong, mut meant) = (Vec::new(), BTreeSet::new());
    for place in SPEAK_OF_NO_TASK {
        let mut all = Vec::new();
        assert!(root.join(place).exists(), "{place}: gone; say where it went");
        files(&root.join(place), &mut all);
        for file in all {
            let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).unwrap();
            let lines = before_tests(&text).lines().enumerate();
            let mut before = String::new();
            for (index, line) in lines {
                for word in words(line) {
                    let pair = (before.as_str(), word.as_str());
                    let elsewhere = SOMETHING_ELSE.iter().position(|(place, words, _)| {
                        name.starts_with(place) && words.contains(&word.as_str())
                    });
                    if WORDS.contains(&word.as_str()) && !ONE_WORD.contains(&pair) {
                        match elsewhere {
                            Some(at) => meant.extend([(at, word.clone())]),
                            None => wrong.push(format!("{name}:{}: {word}: {}", index + 1, line.trim())),
                        }
                    }
                    before = word;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "words of a task in what serves every task:\n{}", wrong.join("\n"));
    for (at, (place, words, meaning)) in SOMETHING_ELSE.iter().enumerate() {
        for word in *words {
            assert!(
                meant.contains(&(at, (*word).to_owned())),
                "{place}: {word} ({meaning}) is not said any more"
            );
        }
    }
}

#[test]
fn identifiers_are_taken_apart() {
    assert_eq!(
        words("until_half_width: f64, // GuidanceScale2"),
        ["until", "half", "width", "f", "guidance", "scale"]
    );
    assert_eq!(words("Outcome::Picture { .. }"), ["outcome", "picture"]);
}
