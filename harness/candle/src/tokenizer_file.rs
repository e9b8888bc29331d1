//! `tokenizer.json`, which strangers write too: read within limits, before anything of it is used.
use crate::error::{Error, Result};
use crate::json::read_whole;
use serde_json::Value;
use std::path::Path;
use tokenizers::Tokenizer;

/// How many times longer a text may become before it is cut into words; CLIP's own rules allow for 32.
const MOST_GROWTH: f64 = 4096.0;

/// The tokenizer that a `tokenizer.json` describes.
///
/// # Errors
/// It cannot be read, describes none, would let texts grow without bound, or merges what makes no token.
pub(crate) fn read_tokenizer(path: &Path) -> Result<Tokenizer> {
    let fail = |message: String| Error::Tokenizer { path: path.to_path_buf(), message };
    let text = read_whole(path)?;
    let description: Value = serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?;
    let growth = growth(&description["normalizer"]);
    if growth > MOST_GROWTH {
        return Err(fail(format!(
            "normalizer: lets a text grow {growth:.0} times, expected at most {MOST_GROWTH} times"
        )));
    }
    if let Some(dropout) = description["model"]["dropout"].as_f64().filter(|dropout| *dropout > 0.0) {
        return Err(fail(format!(
            "model.dropout: found {dropout}, expected none: it cuts the same text into other tokens every time"
        )));
    }
    let model = &description["model"];
    let merges = model["merges"].as_array().into_iter().flatten().filter_map(pair);
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    products(merges, prefix, |token| !model["vocab"][token].is_null()).map_err(fail)?;
    // The generic reader would compile every kind of tokenizer into this crate; the parser does not.
    text.parse().map_err(|e: tokenizers::Error| fail(e.to_string()))
}

/// The two tokens that a `tokenizer.json` merges, in either of its ways to write them.
fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        // The first line of a `merges.txt`, as the library passes over it.
        Value::String(pair) if pair.starts_with("#version") => None,
        Value::String(pair) => pair.split_once(' '),
        pair => pair[0].as_str().zip(pair[1].as_str()),
    }
}

/// Refuses pairs that make no token: the library writes what they make into room for the longest of the vocabulary.
///
/// # Errors
/// Names the first of them.
pub(crate) fn products<'a>(
    mut merges: impl Iterator<Item = (&'a str, &'a str)>,
    prefix: &str,
    is_token: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let makes_none = |(first, second): &(&str, &str)| {
        second.strip_prefix(prefix).is_none_or(|rest| !is_token(&format!("{first}{rest}")))
    };
    match merges.find(makes_none) {
        None => Ok(()),
        Some((first, second)) => Err(format!(
            "merges: `{first}` and `{second}` make no token of the vocabulary; expected one for each pair"
        )),
    }
}

/// How many times longer than before a text is at most, in bytes.
fn growth(rule: &Value) -> f64 {
    let length = |key: &str| rule[key].as_str().map_or(0, str::len) as f64;
    match rule["type"].as_str() {
        Some("Sequence") => rule["normalizers"].as_array().into_iter().flatten().map(growth).product(),
        // A pattern may match nothing, between any two letters.
        Some("Replace") => length("content") + 1.0,
        Some("Prepend") => length("prepend") + 1.0,
        // UAX #15: no letter's decomposition is longer.
        Some("NFKC" | "NFKD") => 18.0,
        Some("NFC" | "NFD" | "StripAccents" | "Lowercase") => 4.0,
        Some("BertNormalizer") => 64.0,
        Some("ByteLevel") => 2.0,
        Some("Strip" | "Nmt") | None => 1.0,
        // A table of its own may hold anything.
        Some(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_that_feed_on_one_another_are_refused() {
        let doubling = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let clip = json!({"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]});
        assert_eq!(growth(&Value::Null), 1.0);
        assert_eq!(growth(&clip), 32.0);
        assert!(growth(&json!({"type": "Sequence", "normalizers": vec![doubling; 8]})) > MOST_GROWTH);
        assert!(growth(&json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})) > MOST_GROWTH);
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tokenizer.json");
        let long = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(5000)});
        std::fs::write(&path, json!({"normalizer": long}).to_string()).expect("write");
        let said = read_tokenizer(&path).expect_err("too long").to_string();
        assert!(said.contains("normalizer: lets a text grow 5001 times"), "{said}");
    }

    #[test]
    fn pairs_that_make_no_token_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tokenizer.json");
        let read = |merges: Value, prefix: Value, vocabulary: &[&str]| {
            let ids = vocabulary.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id)));
            let model = json!({
                "type": "BPE", "vocab": Value::Object(ids.collect()), "merges": merges, "continuing_subword_prefix": prefix
            });
            std::fs::write(&path, json!({"model": model}).to_string()).expect("write");
            read_tokenizer(&path).map(drop).map_err(|error| error.to_string())
        };
        for merge in [json!("a b"), json!(["a", "b"])] {
            assert_eq!(read(json!([merge.clone()]), Value::Null, &["a", "b", "ab"]), Ok(()));
            // With nothing as long in the vocabulary, or with a prefix longer than what is merged, the library panics.
            let refused = [(Value::Null, &["a", "b"][..]), (json!("###"), &["a", "b", "ab"])];
            for (prefix, vocabulary) in refused {
                let said = read(json!([merge.clone()]), prefix, vocabulary).expect_err("no token");
                assert!(said.contains("merges: `a` and `b` make no token"), "{said}");
            }
        }
        assert_eq!(read(json!([["a", "##b"]]), json!("##"), &["a", "##b", "ab"]), Ok(()));
    }
}
