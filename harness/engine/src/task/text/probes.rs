//! What the conformance kit asks of an engine that writes texts.

use edgemaxx_contract::input::InputError;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::task::text::{Ask, AskedDecoding, Request};

use crate::task::{Probe, Purpose};

/// Tokens that every vocabulary has, and the fewest and the most of them that may be asked for.
pub(super) fn probes(request: &Request) -> Result<Vec<Probe>, InputError> {
    let most = request.kinds().into_iter().map(|(_, prompt, length)| (prompt, length.most())).max();
    let (longest, new) = most.unwrap_or((1, 1));
    let prompt =
        |from: u32, count: u32| -> Vec<u32> { (0..count).map(|i| (from + i * 7) % 200 + 3).collect() };
    let usual = prompt(1, longest.min(32));
    let sampled = |seed| AskedDecoding::Sampled { temperature: 1.0, seed };
    [
        ("first text", Purpose::Warm, usual.clone(), new, AskedDecoding::Greedy),
        ("text", Purpose::Fresh, usual.clone(), new, AskedDecoding::Greedy),
        ("repeated request", Purpose::Repeat, usual.clone(), new, AskedDecoding::Greedy),
        ("other prompt", Purpose::Other, prompt(50, longest.min(32)), new, AskedDecoding::Greedy),
        ("sampled", Purpose::Other, usual, new, sampled(7)),
        ("one token", Purpose::Edge, prompt(1, 1), 1, AskedDecoding::Greedy),
        ("longest prompt", Purpose::Edge, prompt(1, longest), new, AskedDecoding::Greedy),
    ]
    .into_iter()
    .map(|(what, purpose, prompt_ids, max_new_tokens, decoding)| {
        let ask = Ask {
            prompt: what.to_owned(),
            stratum: None,
            prompt_ids,
            max_new_tokens,
            ignore_eos: true,
            end_ids: Vec::new(),
            vocabulary: u32::MAX,
            decoding,
        };
        let planned = PlannedRequest { id: 0, seed: 7, ask: ask.checked()? };
        Ok(Probe { what, purpose, request: request.checked()?, planned })
    })
    .collect()
}
