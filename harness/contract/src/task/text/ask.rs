//! What one request asks.

use serde::{Deserialize, Serialize};

use crate::input::{Input, InputError};

/// What one request asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The prompt's line, for people; engines get the ids alone.
    pub prompt: String,
    /// The stratum it was drawn into, where the contest has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<String>,
    /// The tokens that are to be read, one at least.
    pub prompt_ids: Vec<u32>,
    /// The tokens that are to be made, at most.
    pub max_new_tokens: u32,
    /// Whether a token that ends a text is one like any other, so that exactly as many are made.
    pub ignore_eos: bool,
    /// The tokens that end a text.
    pub end_ids: Vec<u32>,
    /// Entries of the baseline's vocabulary: no other token is an answer.
    pub vocabulary: u32,
    /// How a token is chosen.
    pub decoding: AskedDecoding,
}

/// How tokens are chosen from logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AskedDecoding {
    /// The largest logit, the lowest id of several.
    Greedy,
    /// The largest of logit / temperature + noise; see [`super::gumbel`].
    Sampled {
        /// The temperature.
        temperature: f64,
        /// The seed of the noise.
        seed: u64,
    },
}

impl Ask {
    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), InputError> {
        input.within("prompt_ids", self.prompt_ids.len(), 1, 1 << 17)?;
        input.within("max_new_tokens", self.max_new_tokens, 1, 1 << 14)?;
        if let AskedDecoding::Sampled { temperature, .. } = self.decoding {
            input.within("decoding.sampled.temperature", temperature, 0.01, 100.0)?;
        }
        Ok(())
    }

    /// What is wrong with an answer of these tokens.
    ///
    /// # Errors
    /// In words: there are too many or too few of them, or one that is none.
    pub fn accept(&self, ids: &[u32]) -> Result<(), String> {
        let (found, most) = (ids.len(), self.max_new_tokens as usize);
        if let Some(id) = ids.iter().find(|id| **id >= self.vocabulary) {
            return Err(format!("token {id}, which is none of the vocabulary's {}", self.vocabulary));
        }
        if self.ignore_eos {
            return match found == most {
                true => Ok(()),
                false => Err(format!("{found} tokens; exactly {most} were asked for")),
            };
        }
        let end = ids.iter().position(|id| self.end_ids.contains(id));
        match end {
            Some(at) if at + 1 < found => {
                Err(format!("{} tokens after token {}, which ends a text", found - at - 1, ids[at]))
            }
            _ if found == 0 || found > most => Err(format!("{found} tokens; 1 to {most} were asked for")),
            None if found < most => Err(format!(
                "{found} tokens, the last of which ends no text; {most} were asked for, or fewer with an end"
            )),
            _ => Ok(()),
        }
    }
}
