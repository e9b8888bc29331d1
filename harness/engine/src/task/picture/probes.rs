//! What the conformance kit asks of an engine that makes pictures.

use edgemaxx_contract::contest::RequestSpec;
use edgemaxx_contract::plan::PlannedRequest;

use crate::task::{Probe, Purpose};

/// Prompts, latents, and prompts that engines fail on.
pub(super) fn probes(request: &RequestSpec) -> Vec<Probe> {
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
    .map(|(what, purpose, prompt, negative_prompt, seed)| Probe {
        what,
        purpose,
        request: RequestSpec { negative_prompt: negative_prompt.to_owned(), ..request.clone() },
        planned: PlannedRequest { id: 0, prompt: prompt.to_owned(), seed },
    })
    .into()
}
