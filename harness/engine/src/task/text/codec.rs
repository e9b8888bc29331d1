//! [`TEXT`]: a plan's prompts as frames, and streams of tokens as lists of them.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::input::InputError;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::sample::Arrival;
use edgemaxx_contract::task::text::{self, Scores};
use edgemaxx_contract::task::{self, RequestSpec};
use edgemaxx_protocol::{AnswerLimits, Object};

use super::objects::{Ask, Ids, Ready, ScoreAsk, Settings};
use super::probes;
use crate::engine::Answer;
use crate::serve::Reply;
use crate::task::{Artefact, Codec, Probe, Question, Scoring};

/// The codec of the task `text`.
pub const TEXT: TextCodec = TextCodec;

/// Bytes of a part at most: a header's.
const PART: usize = 16 << 10;

/// Token ids out, token ids in.
#[derive(Debug, Clone, Copy)]
pub struct TextCodec;

fn words(error: InputError) -> String {
    error.to_string()
}

fn shared(request: &RequestSpec) -> Result<text::Request, String> {
    request.view().map_err(words)
}

impl Codec for TextCodec {
    fn task(&self) -> &'static str {
        "text"
    }

    fn settings(&self, request: &RequestSpec, settings: &task::Settings) -> Result<Object, String> {
        let text::Settings { weights, rope_factor, lookup, cache } = settings.view().map_err(words)?;
        let context = shared(request)?.context();
        Ok(Settings { weights, rope_factor, lookup, cache, context }.object())
    }

    /// Nothing: both sides are asked the same, whatever their vocabularies, as long as there is room.
    fn ready(&self, request: &RequestSpec, ready: &Object) -> Result<Object, String> {
        let (ready, needed) = (Ready::parse(ready)?, shared(request)?.context());
        if ready.positions < needed {
            return Err(format!(
                "ready: {} positions, but the longest prompt and its answer take {needed}",
                ready.positions
            ));
        }
        Ok(Object::new())
    }

    /// None: prompts are in the header.
    fn payload(&self, _: &RequestSpec, _: &PlannedRequest, _: &Object) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn header(&self, question: Question<'_>, _: &Object) -> Result<Object, String> {
        let asked: text::Ask = question.planned.ask.view().map_err(words)?;
        Ok(Ask {
            prompt_ids: asked.prompt_ids,
            max_new_tokens: asked.max_new_tokens,
            ignore_eos: asked.ignore_eos,
            end_ids: asked.end_ids,
            decoding: asked.decoding,
        }
        .object())
    }

    /// A part a token, no longer than its header may be.
    fn limits(&self, request: &RequestSpec) -> AnswerLimits {
        let most = shared(request).map_or(0, |request| request.most_new_tokens());
        AnswerLimits { parts: most, parts_bytes: (most as usize).saturating_mul(PART), answer_bytes: 0 }
    }

    /// The list of its tokens in JSON; how they were cut into parts is in the samples.
    fn artefact(&self, question: Question<'_>, answer: &Answer) -> Result<Artefact, String> {
        let asked: text::Ask = question.planned.ask.view().map_err(words)?;
        let (mut ids, mut parts) = (Vec::new(), Vec::new());
        for (number, part) in answer.parts.iter().enumerate() {
            let of_part = Ids::parse("part", &part.header, &part.payload)?;
            // A part that carries no token would be the first one without being one.
            if of_part.is_empty() {
                return Err(format!("part {number} has no `ids`"));
            }
            parts.push(Arrival { at_ns: part.at_ns, units: of_part.len() as u32 });
            ids.extend(of_part);
        }
        ids.extend(Ids::parse("answer", &answer.header, &answer.payload)?);
        asked.accept(&ids)?;
        let bytes = serde_json::to_vec(&ids).map_err(|error| error.to_string())?;
        Ok(Artefact { digest: Digest::of(&bytes), units: ids.len() as u32, parts, bytes })
    }

    /// As many first tokens as are asked for cannot be known here: one, which is enough where an end is allowed.
    fn nothing(&self, settings: &Object) -> Result<(Object, Reply), String> {
        let Settings { context, .. } = Settings::parse(settings)?;
        let ready = Ready { vocabulary: u32::MAX, positions: context, scores: false };
        Ok((ready.object(), Reply { header: Ids::object(&[0]), payload: Vec::new() }))
    }

    fn probes(&self, request: &RequestSpec) -> Result<Vec<Probe>, String> {
        probes::probes(&shared(request)?).map_err(words)
    }

    fn scoring(&self) -> Option<&dyn Scoring> {
        Some(self)
    }
}

/// A request, and the tokens that were kept of an answer to it.
fn answered(planned: &PlannedRequest, answer: &[u8]) -> Result<(text::Ask, Vec<u32>), String> {
    let ids = serde_json::from_slice(answer).map_err(|error| format!("a kept answer: {error}"))?;
    Ok((planned.ask.view().map_err(words)?, ids))
}

fn score_ask(asked: text::Ask, ids: Vec<u32>) -> ScoreAsk {
    ScoreAsk { prompt_ids: asked.prompt_ids, ids, top: Scores::listed(asked.vocabulary) }
}

impl Scoring for TextCodec {
    fn is_offered(&self, ready: &Object) -> bool {
        Ready::parse(ready).is_ok_and(|ready| ready.scores)
    }

    fn question(&self, planned: &PlannedRequest, answer: &[u8]) -> Result<(Object, AnswerLimits), String> {
        let (asked, ids) = answered(planned, answer)?;
        let asked = score_ask(asked, ids);
        let answer_bytes = asked.answer_bytes();
        Ok((asked.object(), AnswerLimits { parts: 0, parts_bytes: 0, answer_bytes }))
    }

    /// The lists in JSON.
    fn scores(&self, planned: &PlannedRequest, answer: &[u8], said: &Answer) -> Result<Artefact, String> {
        let (asked, ids) = answered(planned, answer)?;
        let (positions, vocabulary) = (ids.len(), asked.vocabulary);
        let scores = score_ask(asked, ids).scores(&said.payload)?;
        scores.check(positions, vocabulary)?;
        let bytes = serde_json::to_vec(&scores).map_err(|error| error.to_string())?;
        Ok(Artefact { digest: Digest::of(&bytes), units: positions as u32, parts: Vec::new(), bytes })
    }

    fn own_choices(&self, planned: &PlannedRequest, answer: &[u8], scores: &[u8]) -> Option<f64> {
        let (asked, ids) = answered(planned, answer).ok()?;
        let scores: Scores = serde_json::from_slice(scores).ok()?;
        (asked.decoding == text::AskedDecoding::Greedy).then(|| scores.own_choices(&ids))?
    }
}
