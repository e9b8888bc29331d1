//! What the conformance kit asks of an engine that makes pictures.

use edgemaxx_contract::input::InputError;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::task::picture::{Ask, Request};

use crate::task::{Probe, Purpose};

/// Prompts, latents, and prompts that engines fail on.
pub(super) fn probes(request: &Request) -> Result<Vec<Probe>, InputError> {
    let apple = "a red apple";
    let wide = "wide ".repeat(400);
    [
        ("first picture", Purpose::Warm, apple, "", 1),
        ("picture", Purpose::Fresh, apple, "blurry", 2),
        ("repeated request", Purpose::Repeat, apple, "blurry", 2),
        ("other latents", Purpose::Other, apple, "blurry", 3),
        ("other prompt", Purpose::Other, "a blue house by the sea", "blurry", 2),
        ("empty prompt", Purpose::Edge, "", "", 4),
        ("prompt of 2000 bytes", Purpose::Edge, &wide, "", 4),
        ("prompt beyond ASCII", Purpose::Edge, "ein rotes Haus — 赤い家 🏠", "", 4),
    ]
    .into_iter()
    .map(|(what, purpose, prompt, negative_prompt, seed)| {
        let request = Request { negative_prompt: negative_prompt.to_owned(), ..request.clone() }.checked()?;
        let ask = Ask { prompt: prompt.to_owned() }.checked()?;
        Ok(Probe { what, purpose, request, planned: PlannedRequest { id: 0, seed, ask } })
    })
    .collect()
}
