//! What every request of a contest shares, and how a prompt becomes one.

use serde::{Deserialize, Serialize};

use super::ask::{Ask, AskedDecoding};
use super::length::Length;
use crate::input::{Input, InputError};
use crate::task::definition::Drawn;

/// The most requests that are scored: what is kept of each takes about a kilobyte a token.
const MOST_SCORED: u32 = 64;
/// The most tokens of a prompt.
const MOST_PROMPT: u32 = 1 << 16;

/// What every request of a contest shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Prompt file, relative to the contest file.
    pub prompts: String,
    /// Tokens of a prompt that are read at most: a longer one is cut to its first.
    pub prompt_tokens: u32,
    /// Tokens that are made.
    pub max_new_tokens: Length,
    /// Whether a token that ends a text is one like any other.
    #[serde(default)]
    pub ignore_eos: bool,
    /// How tokens are chosen.
    #[serde(default)]
    pub decoding: Decoding,
    /// Of one session of each candidate, the first requests about whose answers engines that score are asked, untimed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub scored: u32,
    /// Kinds of requests; without any, all are alike.
    #[serde(default, rename = "stratum", skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Stratum>,
}

/// A kind of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Its name in tables.
    pub name: String,
    /// See [`Request::prompt_tokens`]; as there where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// See [`Request::max_new_tokens`]; as there where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<Length>,
    /// Its share of the requests, relative to the others'; all requests count alike in the score.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

fn is_none(scored: &u32) -> bool {
    *scored == 0
}

/// How tokens are chosen from logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decoding {
    /// The largest logit.
    #[default]
    Greedy,
    /// A sample, with noise that is the same for every engine.
    Sampled {
        /// The temperature.
        temperature: f64,
    },
}

impl Request {
    pub(super) fn check(&self, input: &Input<'_>) -> Result<(), InputError> {
        input.within("prompt_tokens", self.prompt_tokens, 1, MOST_PROMPT)?;
        self.max_new_tokens.check(input, "max_new_tokens")?;
        input.within("scored", self.scored, 0, MOST_SCORED)?;
        if let Decoding::Sampled { temperature } = self.decoding {
            input.within("decoding.sampled.temperature", temperature, 0.01, 100.0)?;
        }
        for (index, stratum) in self.strata.iter().enumerate() {
            let key = |key: &str| format!("stratum[{index}].{key}");
            let name = &stratum.name;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
                return Err(input.bad(
                    &key("name"),
                    "1 to 40 letters, digits, '-', '_'",
                    format!("{name:?}"),
                ));
            }
            if self.strata[..index].iter().any(|other| other.name == *name) {
                return Err(input.bad(&key("name"), "a name used once", format!("{name:?} twice")));
            }
            input.within(&key("weight"), stratum.weight, 1, 1000)?;
            if let Some(tokens) = stratum.prompt_tokens {
                input.within(&key("prompt_tokens"), tokens, 1, MOST_PROMPT)?;
            }
            if let Some(length) = &stratum.max_new_tokens {
                length.check(input, &key("max_new_tokens"))?;
            }
        }
        Ok(())
    }

    /// Every kind of request: its name, tokens of a prompt at most, tokens to be made.
    pub fn kinds(&self) -> Vec<(Option<&str>, u32, &Length)> {
        if self.strata.is_empty() {
            return vec![(None, self.prompt_tokens, &self.max_new_tokens)];
        }
        let kind = |stratum: &'_ Stratum| stratum.prompt_tokens.unwrap_or(self.prompt_tokens);
        self.strata
            .iter()
            .map(|s| {
                (Some(s.name.as_str()), kind(s), s.max_new_tokens.as_ref().unwrap_or(&self.max_new_tokens))
            })
            .collect()
    }

    /// Positions that an engine needs for the longest request.
    pub fn context(&self) -> u32 {
        self.kinds().into_iter().map(|(_, prompt, length)| prompt + length.most()).max().unwrap_or(1)
    }

    /// Tokens that an answer has at most.
    pub fn most_new_tokens(&self) -> u32 {
        self.kinds().into_iter().map(|(_, _, length)| length.most()).max().unwrap_or(1)
    }

    /// The kind of the request `id`: in any run of requests each has its share, as exactly as whole numbers allow.
    fn kind(&self, id: u32) -> (Option<&str>, u32, &Length) {
        let kinds = self.kinds();
        let weights: Vec<i64> = match self.strata.as_slice() {
            [] => vec![1],
            strata => strata.iter().map(|stratum| i64::from(stratum.weight)).collect(),
        };
        let all: i64 = weights.iter().sum();
        let mut counts = vec![0i64; kinds.len()];
        let mut chosen = 0;
        // The shares come round again after `all` requests.
        for asked in 1..=i64::from(id) % all + 1 {
            let owed = |at: usize| weights[at] * asked - all * counts[at];
            chosen = (0..kinds.len()).max_by_key(|at| (owed(*at), std::cmp::Reverse(*at))).unwrap_or(0);
            counts[chosen] += 1;
        }
        kinds[chosen]
    }

    /// The request that a prompt becomes.
    ///
    /// # Errors
    /// In words: there is nothing that reads prompts, or it cannot read this one.
    pub(super) fn drawn(&self, prompt: &str, drawn: &Drawn<'_>) -> Result<Ask, String> {
        let encoder = drawn.encoder.ok_or("the baseline's tokenizer is not here")?;
        let (stratum, tokens, length) = self.kind(drawn.id);
        let mut prompt_ids = encoder.encode(prompt)?;
        if prompt_ids.is_empty() {
            return Err(format!("no tokens in {prompt:?}"));
        }
        let end_ids = encoder.ends();
        if end_ids.is_empty() && !self.ignore_eos {
            return Err("the baseline's files name no token that ends a text: set request.ignore_eos = true"
                .to_owned());
        }
        prompt_ids.truncate(tokens as usize);
        Ok(Ask {
            prompt: prompt.to_owned(),
            stratum: stratum.map(str::to_owned),
            prompt_ids,
            max_new_tokens: length.drawn(drawn.seed),
            ignore_eos: self.ignore_eos,
            end_ids,
            vocabulary: encoder.size(),
            decoding: match self.decoding {
                Decoding::Greedy => AskedDecoding::Greedy,
                Decoding::Sampled { temperature } => AskedDecoding::Sampled { temperature, seed: drawn.seed },
            },
        })
    }
}
