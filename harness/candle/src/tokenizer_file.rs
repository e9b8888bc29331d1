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
/// It cannot be read, describes none, or would let texts grow without bound.
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
    // The generic reader would compile every kind of tokenizer into this crate; the parser does not.
    text.parse().map_err(|e: tokenizers::Error| fail(e.to_string()))
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
}
