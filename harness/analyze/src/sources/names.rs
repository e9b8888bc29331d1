//! Names of foreign measurements: numbered, and told apart by who reads them.

use std::collections::HashMap;

use edgemaxx_contract::shown_text::is_hidden;
use unicode_security::confusable_detection::skeleton;

/// Names numbered in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) list: Vec<String>,
    pub(super) numbers: HashMap<String, u32>,
}

impl Names {
    /// The number of `name`.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.list.len() as u32;
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// What is wrong with two names that look the same and are not: one is spelled with other letters of the same shape, with
    /// letters that are not seen, or composed otherwise. Those of ASCII alone are told apart, as `l` and `1` are.
    pub(super) fn look_alike(&self) -> Option<String> {
        let mut seen: HashMap<String, &str> = HashMap::new();
        self.list.iter().find_map(|name| {
            let first = *seen.entry(shape(name)).or_insert(name);
            let differs = first != name && !(first.is_ascii() && name.is_ascii());
            differs.then(|| format!("the names {} and {} look the same", spelled(first), spelled(name)))
        })
    }
}

/// What is seen of a name.
fn shape(name: &str) -> String {
    // Joiners and selectors of variants are seen in some scripts, but never alone.
    let unseen = |c: char| is_hidden(c) || matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    skeleton(&name.chars().filter(|c| !unseen(*c)).collect::<String>()).collect()
}

/// A name in which every character outside of ASCII is told by its code point.
fn spelled(name: &str) -> String {
    let one = |c: char| if c.is_ascii() { c.to_string() } else { format!("⟨U+{:04X}⟩", u32::from(c)) };
    format!("\"{}\"", name.chars().map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: [&str; 2]) -> Option<String> {
        let mut all = Names::default();
        names.iter().for_each(|name| _ = all.number(name));
        all.look_alike()
    }

    #[test]
    fn names_that_look_the_same_are_told_by_their_code_points() {
        for (names, other) in [
            (["fast", "f\u{430}st"], "f⟨U+0430⟩st"),
            (["f\u{430}st", "fast"], "fast"),
            (["caf\u{e9}", "cafe\u{301}"], "cafe⟨U+0301⟩"),
            (["fast", "fa\u{200b}st"], "fa⟨U+200B⟩st"),
            (["fast", "fast\u{200d}"], "fast⟨U+200D⟩"),
            (["fast", "\u{202e}fast"], "⟨U+202E⟩fast"),
            (["fast", "f\u{ff41}st"], "f⟨U+FF41⟩st"),
            (["a\u{2010}b", "a-b"], "a-b"),
        ] {
            let said = told(names).unwrap_or_default();
            assert!(said.ends_with(&format!(" and \"{other}\" look the same")), "{names:?}: {said}");
        }
        for names in [
            ["bert-l", "bert-1"],
            ["steps-10", "steps-1O"],
            ["größe", "grosse"],
            ["быстро", "медленно"],
            ["日本", "日木"],
        ] {
            assert_eq!(told(names), None);
        }
    }
}
