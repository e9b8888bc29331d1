//! Making an answer: token after token, or several at a time where what the text said before foretells them.
use super::model::Llama;
use super::sample::{greedy, sampled};
use crate::error::Result;
use edgemaxx_contract::task::text::Noise;

/// Tokens that are looked for in the text to foretell what follows them.
const KEY: usize = 2;

/// How a token is chosen from logits.
pub enum Choice {
    /// The largest logit.
    Greedy,
    /// A sample at a temperature, with this noise.
    Sampled(f32, Box<Noise>),
}

impl Choice {
    /// The token of the answer's position `position`.
    pub(crate) fn of(&mut self, position: usize, logits: &[f32], room: &mut Vec<f32>) -> u32 {
        match self {
            Self::Greedy => greedy(logits),
            Self::Sampled(temperature, noise) => {
                room.resize(logits.len(), 0.0);
                noise.fill(position as u64, room);
                sampled(logits, *temperature, room)
            }
        }
    }
}

/// What is to be made.
pub struct Wanted<'a> {
    /// What is read first.
    pub prompt: &'a [u32],
    /// Tokens at most.
    pub most: usize,
    /// Tokens that end the answer.
    pub ends: &'a [u32],
    /// How tokens are chosen.
    pub choice: Choice,
    /// Tokens that are guessed ahead at most, from what followed the last time the text said the same. They change the
    /// speed, never the answer.
    pub lookup: usize,
}

impl Llama {
    /// Makes an answer. `each` is given its tokens as soon as they are known, one or several at a time, and says whether
    /// to go on.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn generate(&mut self, wanted: Wanted<'_>, each: &mut dyn FnMut(&[u32]) -> bool) -> Result<()> {
        let Wanted { prompt, most, ends, mut choice, lookup } = wanted;
        let mut room = Vec::new();
        let mut text = prompt.to_vec();
        let mut new = vec![choice.of(0, self.prefill(prompt)?, &mut room)];
        loop {
            text.extend(&new);
            let made = text.len() - prompt.len();
            if !each(&new) || made >= most || new.last().is_some_and(|last| ends.contains(last)) {
                return Ok(());
            }
            // What is read: the last token, and those that may follow it.
            let read = self.position();
            let left = (most - made - 1).min(self.capacity() - read - 1);
            let mut asked = text[text.len() - 1..].to_vec();
            asked.extend(foretold(&text, lookup.min(left)));
            new.clear();
            let mut right = true;
            self.extend_all(&asked, &mut |i, logits| {
                if right {
                    let token = choice.of(made + i, logits, &mut room);
                    new.push(token);
                    right = asked.get(i + 1) == Some(&token) && !ends.contains(&token);
                }
            })?;
            self.rewind(read + new.len())?;
        }
    }
}

/// What followed the text's last tokens the last time that it said them, `most` tokens at most.
fn foretold(text: &[u32], most: usize) -> &[u32] {
    let Some(from) = text.len().checked_sub(KEY).filter(|_| most > 0) else { return &[] };
    let (before, key) = (&text[..text.len() - 1], &text[from..]);
    match before.windows(KEY).rposition(|window| window == key) {
        Some(at) => &text[at + KEY..text.len().min(at + KEY + most)],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::foretold;

    #[test]
    fn the_text_foretells_itself() {
        assert_eq!(foretold(&[1, 2, 3, 4, 1, 2], 8), [3, 4, 1, 2]);
        assert_eq!(foretold(&[1, 2, 3, 4, 1, 2], 1), [3]);
        assert_eq!(foretold(&[7, 1, 2, 9, 1, 2, 3, 1, 2], 2), [3, 1], "the last time");
        assert_eq!(foretold(&[5, 5, 5], 4), [5]);
        for none in [foretold(&[1, 2, 3], 4), foretold(&[1], 4), foretold(&[1, 2, 1, 2], 0)] {
            assert!(none.is_empty());
        }
    }
}
