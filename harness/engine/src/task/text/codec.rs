//! [`TEXT`]: a plan's prompts as frames, and streams of tokens as lists of them.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::input::InputError;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::sample::Arrival;
use edgemaxx_contract::task::{self, RequestSpec, text};
use edgemaxx_protocol::{AnswerLimits, Object};

use super::objects::{Ask, Ids, Ready, Settings};
use super::probes;
use crate::engine::Answer;
use crate::serve::Reply;
use crate::task::{Artefact, Codec, Probe, Question};

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
        let ready = Ready { vocabulary: u32::MAX, positions: context };
        Ok((ready.object(), Reply { header: Ids::object(&[0]), payload: Vec::new() }))
    }

    fn probes(&self, request: &RequestSpec) -> Result<Vec<Probe>, String> {
        probes::probes(&shared(request)?).map_err(words)
    }
}
