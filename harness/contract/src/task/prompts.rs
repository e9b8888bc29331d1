//! The file of prompts: one per line, or a [`super::Grammar`] that makes them.

use std::collections::BTreeSet;

/// A file of prompts that nothing can be asked from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptsError {
    /// A line is unusable.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A grammar that makes no prompts, or too few.
    #[error("{file}: {problem}")]
    Grammar {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Nothing in it.
    #[error("{0}: no prompts; expected one per line")]
    Empty(String),
    /// Fewer than a run asks.
    #[error(
        "{file}: {found} prompts, but a run asks {needed}, each once; add prompts, or ask for fewer sessions, pairs or \
         warm-up requests"
    )]
    TooFew {
        /// The file.
        file: String,
        /// How many it has.
        found: usize,
        /// How many are asked.
        needed: usize,
    },
    /// Two of them begin alike.
    #[error(
        "{file}: {a:?} and {b:?} begin with the same {common} tokens; prompts must begin differently, so that nothing \
         that was read of one serves another"
    )]
    Alike {
        /// The file.
        file: String,
        /// How many tokens.
        common: usize,
        /// The beginning of one.
        a: String,
        /// The beginning of the other.
        b: String,
    },
}

/// Bytes of a prompt at most.
const PROMPT: usize = 2000;
/// The same where prompts may be whole pages.
const PASSAGE: usize = 256 << 10;

/// The prompts of a file: one per line.
///
/// # Errors
/// [`PromptsError`] names the line.
pub fn prompt_lines<'a>(file: &str, text: &'a str) -> Result<Vec<&'a str>, PromptsError> {
    lines(file, text, PROMPT, Ok)
}

/// The prompts of a file that may be long and have lines of their own: one per line, as it stands or, where it begins
/// with a quotation mark, as a JSON string.
///
/// # Errors
/// [`PromptsError`] names the line.
pub fn passages(file: &str, text: &str) -> Result<Vec<String>, PromptsError> {
    lines(file, text, PASSAGE, |line| match line.starts_with('"') {
        true => {
            serde_json::from_str(line).map_err(|_| "no JSON string, though it begins with a quotation mark")
        }
        false => Ok(line.to_owned()),
    })
}

/// The lines of a file as `read` gives them back, each there once and none empty.
fn lines<'a, T: AsRef<str>>(
    file: &str,
    text: &'a str,
    most: usize,
    read: impl Fn(&'a str) -> Result<T, &'static str>,
) -> Result<Vec<T>, PromptsError> {
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let fail =
            |problem: String| Err(PromptsError::Line { file: file.to_owned(), line: index + 1, problem });
        if line.trim().is_empty() {
            return fail("an empty line; expected one prompt per line".to_owned());
        }
        if line.len() > most {
            return fail(format!("a prompt over {most} bytes"));
        }
        if line.chars().any(char::is_control) {
            return fail("a control character".to_owned());
        }
        if !seen.insert(line.trim()) {
            return fail("the prompt of an earlier line; expected each once".to_owned());
        }
        match read(line) {
            Ok(prompt) if prompt.as_ref().trim().is_empty() => return fail("an empty prompt".to_owned()),
            Ok(prompt) => lines.push(prompt),
            Err(problem) => return fail(problem.to_owned()),
        }
    }
    if lines.is_empty() {
        return Err(PromptsError::Empty(file.to_owned()));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::{passages, prompt_lines};

    #[test]
    fn bad_prompts_name_their_line() {
        let message = prompt_lines("p.txt", "one\n\ntwo\n").unwrap_err().to_string();
        assert!(message.starts_with("p.txt:2: an empty line"), "{message}");
        assert!(prompt_lines("p.txt", "").is_err());
    }

    #[test]
    fn a_passage_has_lines_of_its_own() {
        let text = "one \\n two\n\"one\\ntwo\"\n";
        assert_eq!(passages("p.txt", text).unwrap(), ["one \\n two", "one\ntwo"]);
        for bad in ["\"one", "\" \"", "\"one\" two"] {
            assert!(passages("p.txt", bad).is_err(), "{bad}");
        }
        assert!(passages("p.txt", &"long ".repeat(1000)).is_ok());
        assert!(prompt_lines("p.txt", &"long ".repeat(1000)).is_err());
    }
}
