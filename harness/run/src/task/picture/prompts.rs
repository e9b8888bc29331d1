//! What of a contest's prompts the text encoders read: CLIP's take 77 tokens, start and end among them.

use std::collections::BTreeMap;

use edgemaxx_candle::CheckpointSource;
use edgemaxx_candle::clip::ClipTokenizer;
use edgemaxx_contract::task::{RequestSpec, picture};

use crate::error::{Result, RunError};

/// Warns of prompts that are cut, where the checkpoint has tokenizers of the diffusers layout.
///
/// # Errors
/// Two prompts are the same once they are read, which makes the same picture of both.
pub(super) fn read(
    checkpoint: &CheckpointSource,
    request: &RequestSpec,
    (file, text): (&str, &str),
) -> Result<Vec<String>> {
    let folders = ["tokenizer", "tokenizer_2"].map(|name| checkpoint.root.join(name));
    // Another engine's checkpoint may be laid out in another way; of one of ours, opening it has said what is wrong.
    let tokenizers: Vec<ClipTokenizer> =
        folders.iter().filter_map(|folder| ClipTokenizer::load(folder).ok()).collect();
    let mut warnings = Vec::new();
    let mut cut = Vec::new();
    let mut seen: BTreeMap<Vec<Vec<u32>>, usize> = BTreeMap::new();
    let said = |error: edgemaxx_candle::Error| RunError::input(error.to_string());
    if tokenizers.is_empty() {
        return Ok(warnings);
    }
    let longest = |prompt: &str| -> Result<_> {
        let cuts = tokenizers.iter().map(|tokenizer| tokenizer.cut(prompt).map_err(said));
        Ok(cuts.collect::<Result<Vec<_>>>()?.into_iter().flatten().max_by_key(|cut| cut.tokens))
    };
    for (index, prompt) in text.lines().enumerate() {
        let line = index + 1;
        let read = tokenizers.iter().map(|tokenizer| tokenizer.encode(prompt).map_err(said));
        if let Some(first) = seen.insert(read.collect::<Result<Vec<_>>>()?, line) {
            return Err(RunError::input(format!(
                "{file}:{line}: the text encoders read the same of it as of line {first}{}; expected each prompt once",
                longest(prompt)?.map_or(String::new(), |cut| format!(" (it {cut})"))
            )));
        }
        cut.extend(longest(prompt)?.map(|cut| (line, cut)));
    }
    if let Some((line, first)) = cut.first() {
        let lines: Vec<String> = cut.iter().map(|(line, _)| line.to_string()).collect();
        warnings.push(format!(
            "{file}: {} of {} prompts are cut (line {}): that of line {line} {first}",
            cut.len(),
            text.lines().count(),
            lines.join(", ")
        ));
    }
    if let Some(cut) = longest(&request.view::<picture::Request>()?.negative_prompt)? {
        warnings.push(format!("request.negative_prompt is cut: it {cut}"));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> Result<Vec<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-sdxl");
        let request = picture::Request {
            prompts: "p.txt".to_owned(),
            negative_prompt: String::new(),
            width: 64,
            height: 64,
        };
        read(&CheckpointSource { root, unet: None }, &request.checked().unwrap(), ("p.txt", text))
    }

    #[test]
    fn what_is_cut_is_counted_and_what_becomes_the_same_refused() {
        assert_eq!(of("red apple\nblue heart\n").unwrap(), Vec::<String>::new());
        let long = "red apple, ".repeat(40);
        let said = of(&format!("red apple\n{long}\nblue {long}\n")).unwrap();
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("p.txt: 2 of 3 prompts are cut (line 2, 3): that of line 2 has "),
            "{said:?}"
        );
        assert!(said[0].ends_with(" tokens, of which the text encoders read 77"), "{said:?}");
        let error = of(&format!("sun\n{long}green\n{long}blue\n")).unwrap_err().to_string();
        assert!(
            error.starts_with("p.txt:3: the text encoders read the same of it as of line 2 (it has "),
            "{error}"
        );
        let error = of("red apple\nRed  apple\n").unwrap_err().to_string();
        assert!(error.starts_with("p.txt:2: the text encoders read the same of it as of line 1;"), "{error}");
    }
}
