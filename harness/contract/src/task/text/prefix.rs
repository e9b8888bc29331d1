//! Prompts must not begin alike: an engine that keeps what it read of one would answer the next for less.

use super::ask::Ask;
use crate::shown_text::shorten;
use crate::task::prompts::PromptsError;

/// Tokens that two prompts may have in common at their beginning: one that begins every text, and a word or two.
const COMMON: usize = 4;
/// The part of the shorter of two prompts that may be common, one in so many.
const PART: usize = 8;

/// Refuses prompts two of which begin with the same tokens: more than [`COMMON`] of them, and more than one in [`PART`].
pub(super) fn check(file: &str, asks: &mut [Ask]) -> Result<(), PromptsError> {
    // Sorted, whoever has the longest beginning in common stands side by side.
    asks.sort_by(|a, b| a.prompt_ids.cmp(&b.prompt_ids));
    for two in asks.windows(2) {
        let [a, b] = [&two[0].prompt_ids, &two[1].prompt_ids];
        let common = a.iter().zip(b.iter()).take_while(|(a, b)| a == b).count();
        let shorter = a.len().min(b.len());
        if common > COMMON.max(shorter / PART) {
            let [a, b] = [&two[0].prompt, &two[1].prompt].map(|prompt| shorten(prompt, 60));
            return Err(PromptsError::Alike { file: file.to_owned(), common, a, b });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::text::AskedDecoding;

    fn ask(ids: &[u32]) -> Ask {
        Ask {
            prompt: format!("{ids:?}"),
            stratum: None,
            prompt_ids: ids.to_vec(),
            max_new_tokens: 1,
            ignore_eos: true,
            end_ids: Vec::new(),
            vocabulary: 1 << 20,
            decoding: AskedDecoding::Greedy,
        }
    }

    #[test]
    fn the_longest_common_beginning_is_found() {
        let fine = || vec![ask(&[0, 5, 6, 7, 1]), ask(&[0, 9]), ask(&[0, 5, 6, 7, 2])];
        assert_eq!(check("p", &mut fine()), Ok(()));
        let mut alike = fine();
        alike.push(ask(&[0, 5, 6, 7, 1, 3]));
        let words = check("p", &mut alike).unwrap_err().to_string();
        assert!(words.contains("begin with the same 5 tokens"), "{words}");
        let long = |last: u32| ask(&(0..80).chain([last]).collect::<Vec<_>>());
        assert!(check("p", &mut [long(1), long(2)]).is_err());
        let head = |last: u32| ask(&(0..10).chain((0..80).map(|i| 1000 * last + i)).collect::<Vec<_>>());
        assert_eq!(check("p", &mut [head(1), head(2)]), Ok(()), "10 of 90");
    }
}
