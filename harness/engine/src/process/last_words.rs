//! What a stranger's program printed last, as it is shown with its failure.

use std::collections::VecDeque;

/// How much is kept, bytes.
const MOST: usize = 4096;

/// The end of a program's output.
#[derive(Debug, Default)]
pub(super) struct LastWords(VecDeque<u8>);

impl LastWords {
    /// Takes what was printed next.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    /// They, for people: without control characters but line feeds and tabs, and without lines that were drawn over,
    /// which are bars of progress.
    pub(super) fn words(&mut self) -> String {
        let text = String::from_utf8_lossy(self.0.make_contiguous());
        let clean = |c: &char| !c.is_control() || *c == '\t';
        let stay =
            text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.contains('\r'));
        let lines: Vec<String> = stay.map(|line| line.chars().filter(clean).collect()).collect();
        lines.join("\n").trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> String {
        let mut words = LastWords::default();
        parts.iter().for_each(|part| words.hear(part.as_bytes()));
        words.words()
    }

    #[test]
    fn bars_of_progress_are_no_last_words() {
        let text = "loading\r\n\rWeights:   0%|    | 0/2\rWeights: 100%|████| 2/2\nkilled:\tno \u{1b}[Amemory\n\r 3%|▎ | 1/30";
        assert_eq!(of(&[text]), "loading\nkilled:\tno [Amemory");
        assert_eq!(of(&["\r 3%|▎ | 1/30"]), "");
    }

    #[test]
    fn the_end_is_kept() {
        let long = "a".repeat(MOST);
        assert_eq!(of(&[&long, "\n", "the end"]), format!("{}\nthe end", &long[8..]));
    }
}
