//! What the two sides say to each other of texts.

use edgemaxx_contract::task::text::{AskedDecoding, Weights};
use edgemaxx_protocol::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::task::{object, parse};

/// Settings of a pipeline, in `load`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How weights are kept.
    pub weights: Weights,
    /// Positions are brought nearer by this factor; absent: 1.
    #[serde(default = "unscaled")]
    pub rope_factor: f64,
    /// Tokens guessed ahead from what the text said before; absent: none.
    #[serde(default)]
    pub lookup: u32,
    /// What keys and values are rounded to; absent: `f32`.
    #[serde(default = "single")]
    pub cache: Weights,
    /// Positions of the longest request with its answer.
    pub context: u32,
}

fn single() -> Weights {
    Weights::F32
}

fn unscaled() -> f64 {
    1.0
}

impl Settings {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let mut fields = object([("weights", self.weights.name().into()), ("context", self.context.into())]);
        if self.rope_factor != unscaled() {
            fields.insert("rope_factor".to_owned(), self.rope_factor.into());
        }
        if self.lookup > 0 {
            fields.insert("lookup".to_owned(), self.lookup.into());
        }
        if self.cache != single() {
            fields.insert("cache".to_owned(), self.cache.name().into());
        }
        fields
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        parse("load's settings", object)
    }
}

/// What a loaded engine says of its checkpoint, in `ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Entries of the vocabulary.
    pub vocabulary: u32,
    /// Positions that a prompt and its answer may have together.
    pub positions: u32,
}

impl Ready {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        object([("vocabulary", self.vocabulary.into()), ("positions", self.positions.into())])
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        let ready: Self = parse("ready", object)?;
        if ready.vocabulary == 0 {
            return Err("ready: vocabulary: expected 1 or more, found 0".to_owned());
        }
        Ok(ready)
    }
}

/// A request, in `generate`; there is no payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The tokens to be read.
    pub prompt_ids: Vec<u32>,
    /// The tokens to be made, at most.
    pub max_new_tokens: u32,
    /// Whether a token that ends a text is one like any other.
    pub ignore_eos: bool,
    /// The tokens that end a text.
    pub end_ids: Vec<u32>,
    /// How a token is chosen.
    pub decoding: AskedDecoding,
}

impl Ask {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let decoding = match self.decoding {
            AskedDecoding::Greedy => json!("greedy"),
            AskedDecoding::Sampled { temperature, seed } => {
                json!({ "sampled": { "temperature": temperature, "seed": seed } })
            }
        };
        object([
            ("prompt_ids", self.prompt_ids.as_slice().into()),
            ("max_new_tokens", self.max_new_tokens.into()),
            ("ignore_eos", self.ignore_eos.into()),
            ("end_ids", self.end_ids.as_slice().into()),
            ("decoding", decoding),
        ])
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        parse("generate's ask", object)
    }
}

/// Tokens of an answer, in `part` and in `answer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// In their order; those of `answer` follow those of all parts.
    #[serde(default)]
    pub ids: Vec<u32>,
}

impl Ids {
    /// As the protocol carries them.
    pub fn object(ids: &[u32]) -> Object {
        if ids.is_empty() { Object::new() } else { object([("ids", Value::from(ids))]) }
    }

    /// From what the protocol carried, where that is nothing else.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(what: &str, object: &Object, payload: &[u8]) -> Result<Vec<u32>, String> {
        if !payload.is_empty() {
            return Err(format!("{what}: {} bytes of payload; tokens are in `ids`", payload.len()));
        }
        Ok(parse::<Self>(what, object)?.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_read() {
        let plain = Settings {
            weights: Weights::Stored,
            rope_factor: 1.0,
            lookup: 0,
            cache: Weights::F32,
            context: 9,
        };
        assert_eq!(plain.object().len(), 2, "what is not asked for is not said");
        let other = Settings {
            weights: Weights::Q4_1,
            rope_factor: 2.5,
            lookup: 4,
            cache: Weights::Q8_0,
            context: 9,
        };
        for settings in [plain, other] {
            assert_eq!(Settings::parse(&settings.object()), Ok(settings));
        }
        for decoding in [AskedDecoding::Greedy, AskedDecoding::Sampled { temperature: 0.5, seed: 1 << 52 }] {
            let (prompt_ids, end_ids) = (vec![0, u32::MAX], vec![2]);
            let ask = Ask { prompt_ids, max_new_tokens: 3, ignore_eos: true, end_ids, decoding };
            assert_eq!(Ask::parse(&ask.object()), Ok(ask));
        }
        let ready = Ready { vocabulary: 2048, positions: 512 };
        assert_eq!(Ready::parse(&ready.object()), Ok(ready));
        assert_eq!(Ids::parse("part", &Ids::object(&[4, 0]), b""), Ok(vec![4, 0]));
        assert_eq!(Ids::parse("answer", &Object::new(), b""), Ok(Vec::new()));
        assert!(Ids::parse("part", &Ids::object(&[4]), b"x").expect_err("a payload").contains("1 bytes"));
        assert!(Ids::parse("part", &object([("ids", json!([-1]))]), b"").is_err());
    }
}
