//! A grammar of prompts: so many that nobody can have answered them before the entropy says which are asked.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::prompts::PromptsError;

/// Prompts that a grammar must be able to make: fewer can be answered in advance.
pub const COMBINATIONS: u128 = 1_000_000_000;

/// Tries to make one more prompt that was not made before.
const TRIES: u32 = 1000;

/// A number below a bound, uniform, from public randomness.
type Below<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Forms of prompts, and the words that stand in their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    file: String,
    forms: Vec<Vec<Piece>>,
    words: BTreeMap<String, Vec<String>>,
    once: BTreeSet<String>,
}

/// A piece of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text as it stands.
    Text(String),
    /// A word of the list of this name.
    Place(String),
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// What may be asked: texts with `{list}` in places.
    forms: Vec<String>,
    /// Lists of which a run uses each word once at most.
    #[serde(default)]
    once: Vec<String>,
    /// Lists of words.
    words: BTreeMap<String, Vec<String>>,
}

impl Grammar {
    /// Whether a file of prompts is called as a grammar is.
    pub fn is_one(file: &str) -> bool {
        file.ends_with(".toml")
    }

    /// Reads a grammar.
    ///
    /// # Errors
    /// [`PromptsError::Grammar`]: it is none, or makes fewer than [`COMBINATIONS`] prompts.
    pub fn parse(file: &str, text: &str) -> Result<Self, PromptsError> {
        let bad = |problem: String| PromptsError::Grammar { file: file.to_owned(), problem };
        let wire: Wire = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        for (name, list) in &wire.words {
            let mut seen = BTreeSet::new();
            for word in list {
                if word.trim() != word || word.is_empty() || word.contains(['{', '}']) {
                    return Err(bad(format!(
                        "words.{name}: {word:?} is empty, or has blanks at an end or braces"
                    )));
                }
                if word.chars().any(char::is_control) {
                    return Err(bad(format!("words.{name}: {word:?} has a control character")));
                }
                if !seen.insert(word) {
                    return Err(bad(format!("words.{name}: {word:?} stands there twice")));
                }
            }
        }
        let forms = wire.forms.iter().map(|form| pieces(form)).collect::<Option<Vec<_>>>();
        let Some(forms) = forms.filter(|forms| !forms.is_empty()) else {
            return Err(bad("forms: expected one at least, each with {lists} in braces".to_owned()));
        };
        let grammar =
            Self { file: file.to_owned(), forms, words: wire.words, once: wire.once.into_iter().collect() };
        let places: BTreeSet<&String> = grammar.forms.iter().flatten().filter_map(Piece::list).collect();
        if let Some(name) = places.iter().find(|name| grammar.words.get(**name).is_none_or(Vec::is_empty)) {
            return Err(bad(format!("words.{name}: expected words for the places of that name, found none")));
        }
        if let Some(name) = grammar.words.keys().chain(&grammar.once).find(|name| !places.contains(name)) {
            return Err(bad(format!("words.{name}: no form has a place of that name")));
        }
        let combinations = grammar.combinations();
        if combinations < COMBINATIONS {
            return Err(bad(format!(
                "makes {combinations} prompts; expected {COMBINATIONS} at least, so that nobody has answered them before"
            )));
        }
        Ok(grammar)
    }

    /// How many prompts it makes; as many as can be counted where there are more.
    pub fn combinations(&self) -> u128 {
        let of_form = |form: &Vec<Piece>| {
            form.iter()
                .filter_map(Piece::list)
                .fold(1u128, |product, name| product.saturating_mul(self.words[name].len() as u128))
        };
        self.forms.iter().map(of_form).fold(0, u128::saturating_add)
    }

    /// So many prompts, none of them twice.
    ///
    /// # Errors
    /// [`PromptsError::TooFew`]: a list whose words are used once has too few for that.
    pub fn draw(&self, count: usize, below: Below<'_>) -> Result<Vec<String>, PromptsError> {
        let mut left: BTreeMap<&String, Vec<&String>> =
            self.once.iter().map(|name| (name, self.words[name].iter().collect())).collect();
        let (mut prompts, mut seen) = (Vec::new(), BTreeSet::new());
        let mut tries = 0;
        while prompts.len() < count {
            let form = &self.forms[below(self.forms.len() as u64) as usize];
            let mut prompt = String::new();
            for piece in form {
                match piece {
                    Piece::Text(text) => prompt.push_str(text),
                    Piece::Place(name) => match left.get_mut(name) {
                        Some(words) if words.is_empty() => return Err(self.too_few(prompts.len(), count)),
                        Some(words) => prompt.push_str(words.swap_remove(below(words.len() as u64) as usize)),
                        None => {
                            let words = &self.words[name];
                            prompt.push_str(&words[below(words.len() as u64) as usize]);
                        }
                    },
                }
            }
            tries += 1;
            if seen.insert(prompt.clone()) {
                tries = 0;
                prompts.push(prompt);
            } else if tries > TRIES {
                return Err(self.too_few(prompts.len(), count));
            }
        }
        Ok(prompts)
    }

    /// A few prompts for who looks at them before there is any entropy: among them, of each form, that of its longest words.
    pub fn samples(&self) -> Vec<String> {
        let longest = |name: &String| {
            let by_length = |word: &&String| (word.chars().count(), (*word).clone());
            self.words[name].iter().max_by_key(by_length).cloned().unwrap_or_default()
        };
        let of_form = |form: &Vec<Piece>| {
            form.iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Place(name) => longest(name),
                })
                .collect::<String>()
        };
        self.forms.iter().map(of_form).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn too_few(&self, found: usize, needed: usize) -> PromptsError {
        PromptsError::TooFew { file: self.file.clone(), found, needed }
    }
}

impl Piece {
    /// The list of a place.
    fn list(&self) -> Option<&String> {
        match self {
            Self::Text(_) => None,
            Self::Place(name) => Some(name),
        }
    }
}

/// A form's pieces; `None` where its braces do not close.
fn pieces(form: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = form;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if text.contains('}') || name.contains('{') {
            return None;
        }
        pieces.extend((!text.is_empty()).then(|| Piece::Text(text.to_owned())));
        pieces.push(Piece::Place(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') || form.trim() != form || form.chars().any(char::is_control) {
        return None;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, words: u32) -> String {
        let words: Vec<String> = (0..words).map(|n| format!("\"{name}{n}\"")).collect();
        format!("{name} = [{}]\n", words.join(", "))
    }

    fn grammar(forms: &str, more: &str, lists: &[(&str, u32)]) -> Result<Grammar, PromptsError> {
        let lists: String = lists.iter().map(|(name, words)| list(name, *words)).collect();
        Grammar::parse("g.toml", &format!("forms = {forms}\n{more}\n[words]\n{lists}"))
    }

    fn counter() -> impl FnMut(u64) -> u64 {
        let mut state = 1u64;
        move |bound| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        }
    }

    #[test]
    fn prompts_are_made_of_words_and_none_twice() {
        let found = grammar(r#"["{a} on {b}, {a}"]"#, "", &[("a", 1000), ("b", 1000)]).unwrap();
        assert_eq!(found.combinations(), 1_000_000_000);
        let drawn = found.draw(500, &mut counter()).unwrap();
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 500);
        assert!(drawn.iter().all(|prompt| prompt.starts_with('a') && prompt.contains(" on b")));
        assert_eq!(drawn, found.draw(500, &mut counter()).unwrap(), "the numbers alone say which");
        assert_eq!(found.samples(), ["a999 on b999, a999"]);
    }

    #[test]
    fn words_that_are_used_once_run_out() {
        let lists = [("a", 1000), ("b", 1000), ("name", 1000)];
        let found = grammar(r#"["{name}: {a} {b}"]"#, "once = [\"name\"]", &lists).unwrap();
        let drawn = found.draw(1000, &mut counter()).unwrap();
        let names: BTreeSet<&str> = drawn.iter().filter_map(|prompt| prompt.split(':').next()).collect();
        assert_eq!(names.len(), 1000);
        let words = found.draw(1001, &mut counter()).unwrap_err().to_string();
        assert!(words.contains("1000 prompts, but a run asks 1001"), "{words}");
    }

    #[test]
    fn grammars_that_are_none_say_why() {
        for (forms, more, lists, words) in [
            (
                r#"["{a} {b}"]"#,
                "",
                vec![("a", 1000), ("b", 1000)],
                "makes 1000000 prompts; expected 1000000000",
            ),
            (r#"["{a} {b}"]"#, "", vec![("a", 10)], "words.b: expected words"),
            (r#"["{a}"]"#, "", vec![("a", 10), ("b", 10)], "words.b: no form has a place"),
            (r#"["{a}"]"#, "once = [\"c\"]", vec![("a", 10)], "words.c: no form"),
            (r#"["{a"]"#, "", vec![("a", 10)], "in braces"),
            (r#"["a}"]"#, "", vec![("a", 10)], "in braces"),
            ("[]", "", vec![("a", 10)], "one at least"),
            (r#"["{a}"]"#, "twice = 1", vec![("a", 10)], "unknown field"),
        ] {
            let error = grammar(forms, more, &lists).unwrap_err().to_string();
            assert!(error.starts_with("g.toml: ") && error.contains(words), "{error}");
        }
        for word in ["", " a", "{a}", "a\\n"] {
            let text = format!("forms = [\"{{a}}\"]\n[words]\na = [\"{word}\"]\n");
            assert!(Grammar::parse("g.toml", &text).is_err(), "{word:?}");
        }
    }

    /// Those that this repository ships: enough, and enough for a run of their contests.
    #[test]
    fn shipped_grammars_make_a_thousand_million_prompts() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../prompts");
        for (name, count) in [("sdxl-v2.toml", 400), ("stories-v2.toml", 100)] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let found = Grammar::parse(name, &text).unwrap();
            let drawn = found.draw(count, &mut counter()).unwrap();
            assert_eq!(drawn.len(), count, "{name}: {} prompts in all", found.combinations());
            assert!(drawn.iter().all(|prompt| prompt.len() < 2000 && !prompt.contains(['{', '}'])));
        }
    }
}
