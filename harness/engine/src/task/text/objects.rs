//! What the two sides say to each other of texts.

use edgemaxx_contract::task::text::{AskedDecoding, Scores, Weights};
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
    /// Whether it answers [`ScoreAsk`], too; absent: it does not.
    #[serde(default)]
    pub scores: bool,
}

impl Ready {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let mut fields =
            object([("vocabulary", self.vocabulary.into()), ("positions", self.positions.into())]);
        if self.scores {
            fields.insert("scores".to_owned(), true.into());
        }
        fields
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

/// How likely an engine finds a text that it need not have written, in `generate`: `{"score": {…}}`, without a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreAsk {
    /// The tokens to be read.
    pub prompt_ids: Vec<u32>,
    /// The tokens that follow, each of which is read as if it had been chosen.
    pub ids: Vec<u32>,
    /// How many tokens are to be listed for each of them.
    pub top: u32,
}

/// Bytes of a token with the logarithm of its probability, in the payload of an answer to [`ScoreAsk`].
const SCORED: usize = 8;

impl ScoreAsk {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let asked = object([
            ("prompt_ids", self.prompt_ids.as_slice().into()),
            ("ids", self.ids.as_slice().into()),
            ("top", self.top.into()),
        ]);
        object([("score", asked.into())])
    }

    /// From what the protocol carried; `None`: something else is asked.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Option<Self>, String> {
        let Some(asked) = object.get("score") else { return Ok(None) };
        let asked = asked.as_object().ok_or("generate's score: expected an object")?;
        parse("generate's score", asked).map(Some)
    }

    /// Bytes of the payload that answers it.
    pub fn answer_bytes(&self) -> usize {
        self.ids.len().saturating_mul(self.top as usize).saturating_mul(SCORED)
    }

    /// The payload of an answer: token and logarithm, little-endian, one after the other.
    pub fn payload(scores: &Scores) -> Vec<u8> {
        let each = scores.0.iter().flatten();
        each.flat_map(|(id, likely)| [id.to_le_bytes(), likely.to_le_bytes()]).flatten().collect()
    }

    /// What a payload says; whether it is an answer, [`Scores::check`] tells.
    ///
    /// # Errors
    /// In words: it has another length.
    pub fn scores(&self, payload: &[u8]) -> Result<Scores, String> {
        let (found, expected) = (payload.len(), self.answer_bytes());
        if found != expected {
            return Err(format!(
                "{found} bytes; {} positions of {} tokens in {SCORED} bytes each are {expected}",
                self.ids.len(),
                self.top
            ));
        }
        let word = |bytes: &[u8]| [bytes[0], bytes[1], bytes[2], bytes[3]];
        let scored = |bytes: &[u8]| (u32::from_le_bytes(word(bytes)), f32::from_le_bytes(word(&bytes[4..])));
        let lists = payload.chunks_exact((self.top as usize * SCORED).max(1));
        Ok(Scores(lists.map(|list| list.chunks_exact(SCORED).map(scored).collect()).collect()))
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
        for scores in [false, true] {
            let ready = Ready { vocabulary: 2048, positions: 512, scores };
            assert_eq!(
                (Ready::parse(&ready.object()), ready.object().len()),
                (Ok(ready), 2 + usize::from(scores))
            );
        }
        let asked = ScoreAsk { prompt_ids: vec![0, 9], ids: vec![4, 5], top: 2 };
        assert_eq!(ScoreAsk::parse(&asked.object()), Ok(Some(asked.clone())));
        assert_eq!(ScoreAsk::parse(&Ids::object(&[4])), Ok(None), "something else is asked");
        assert!(ScoreAsk::parse(&object([("score", json!([]))])).is_err());
        let scores = Scores(vec![vec![(4, -0.5), (7, -1.5)], vec![(u32::MAX, 0.0), (1, f32::MIN)]]);
        let payload = ScoreAsk::payload(&scores);
        assert_eq!(asked.scores(&payload), Ok(scores));
        assert!(asked.scores(&payload[1..]).unwrap_err().starts_with("31 bytes; 2 positions of 2 tokens"));
        assert_eq!(Ids::parse("part", &Ids::object(&[4, 0]), b""), Ok(vec![4, 0]));
        assert_eq!(Ids::parse("answer", &Object::new(), b""), Ok(Vec::new()));
        assert!(Ids::parse("part", &Ids::object(&[4]), b"x").expect_err("a payload").contains("1 bytes"));
        assert!(Ids::parse("part", &object([("ids", json!([-1]))]), b"").is_err());
    }
}
