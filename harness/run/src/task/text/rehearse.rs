//! What a contest of texts asks for that would fail only after everything is measured, found out before.

use edgemaxx_candle::llama::look;
use edgemaxx_candle::transformers::{Transformers, TransformersConfig};
use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::task::{RequestSpec, text};

use crate::error::{Result, RunError};
use crate::sources::source_folder;
use crate::task::kit::Rehearsal;

/// Refuses a contest whose own words cannot be done: changes of checkpoints that only pictures have, the built-in engine
/// where it is not, and a baseline that cannot be loaded, which judges all answers.
///
/// # Errors
/// Names the field, what was expected, and what was found.
pub(super) fn rehearse(rehearsal: &Rehearsal<'_>) -> Result<()> {
    let Rehearsal { contest, base, resolved } = *rehearsal;
    let bad = |field: String, expected: &str, found: String| {
        Err(RunError::input(format!("{field}: expected {expected}, found {found}")))
    };
    let no_unet = "none: a checkpoint that writes texts has no UNet";
    if let Some(unet) = &contest.baseline.checkpoint.unet {
        return bad("baseline.unet".to_owned(), no_unet, unet.clone());
    }
    for (index, candidate) in contest.candidates.iter().enumerate() {
        let field = |key: &str| format!("candidate[{index}] {:?} {key}", candidate.name);
        if let Some(unet) = &candidate.checkpoint.unet {
            return bad(field("unet"), no_unet, unet.clone());
        }
        if let Some(recipe) = candidate.checkpoint.derive {
            let expected =
                "none for texts; `generation = { weights = \"q8_0\" }` keeps the weights otherwise";
            return bad(field("derive"), expected, recipe.to_string());
        }
    }
    let native = resolved.iter().any(|pipeline| pipeline.engine == EngineSpec::Native);
    let others = resolved.iter().any(|pipeline| pipeline.engine == EngineSpec::CandleTransformers);
    if others && contest.device.kind != DeviceKind::Cpu {
        let expected = "cpu, where candle-transformers computes here";
        return bad("device.kind".to_owned(), expected, format!("{:?}", contest.device.kind).to_lowercase());
    }
    if native && contest.device.kind == DeviceKind::Metal {
        let expected =
            "cpu or cuda, where the built-in engine writes texts, or an engine named for every pipeline";
        return bad("device.kind".to_owned(), expected, format!("{:?}", contest.device.kind).to_lowercase());
    }
    // Who has an engine of his own must have a baseline that the built-in one can read, too.
    let source = resolved.first().map_or(&contest.baseline.checkpoint, |baseline| &baseline.checkpoint);
    let Ok(folder) = source_folder(base, &source.source) else { return Ok(()) };
    let read = if TransformersConfig::is_its(&folder) {
        Transformers::look(&folder).map(drop)
    } else {
        look(&folder).map(drop)
    };
    read.map_err(|error| {
        RunError::input(format!(
            "baseline.checkpoint: it judges all answers, and must be one that this program reads itself: {error}"
        ))
    })
}

/// Refuses requests whose longest does not fit a checkpoint's positions; else nothing is odd.
///
/// # Errors
/// Names the field, what was expected, and what was found.
pub(super) fn fits(request: &RequestSpec, positions: usize) -> Result<Vec<String>> {
    let needed = request.view::<text::Request>()?.context() as usize;
    if needed > positions {
        return Err(RunError::input(format!(
            "request.prompt_tokens: expected at most {positions} tokens with those of the answer, its positions, found {needed}"
        )));
    }
    Ok(Vec::new())
}
