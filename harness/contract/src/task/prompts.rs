//! The file of prompts: one per line.

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
    /// Nothing in it.
    #[error("{0}: no prompts; expected one per line")]
    Empty(String),
}

/// The prompts of a file: one per line.
///
/// # Errors
/// [`PromptsError`] names the line.
pub fn prompt_lines<'a>(file: &str, text: &'a str) -> Result<Vec<&'a str>, PromptsError> {
    let mut lines: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let problem = if line.trim().is_empty() {
            Some("an empty line; expected one prompt per line")
        } else if line.len() > 2000 {
            Some("a prompt over 2000 bytes")
        } else if line.chars().any(char::is_control) {
            Some("a control character")
        } else if !seen.insert(line.trim()) {
            Some("the prompt of an earlier line; expected each once")
        } else {
            None
        };
        if let Some(problem) = problem {
            let (file, problem) = (file.to_owned(), problem.to_owned());
            return Err(PromptsError::Line { file, line: index + 1, problem });
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(PromptsError::Empty(file.to_owned()));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::prompt_lines;

    #[test]
    fn bad_prompts_name_their_line() {
        let message = prompt_lines("p.txt", "one\n\ntwo\n").unwrap_err().to_string();
        assert!(message.starts_with("p.txt:2: an empty line"), "{message}");
        assert!(prompt_lines("p.txt", "").is_err());
    }
}
