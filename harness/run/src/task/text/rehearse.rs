//! What a contest of texts asks for that would fail only after everything is measured, found out before.

use edgemaxx_candle::Accelerator;
use edgemaxx_candle::llama::{LlamaOptions, look};
use edgemaxx_candle::transformers::{Transformers, TransformersConfig};
use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::input::Input;
use edgemaxx_contract::task::{self, Encoder, SettingsPatch, TaskRef, text};

use crate::error::{Result, RunError};
use crate::sources::source_folder;
use crate::task::kit::{Asked, Rehearsal};

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
        // Judges compute on the processor, with its weights as they are.
        look(&folder, Accelerator::Cpu, &LlamaOptions::default()).map(drop)
    };
    read.map_err(|error| {
        RunError::input(format!(
            "baseline.checkpoint: it judges all answers, and must be one that this program reads itself: {error}"
        ))
    })
}

/// The usual settings with a candidate's own.
///
/// # Errors
/// They are another task's, or cannot be.
pub(super) fn patched(own: &SettingsPatch) -> Result<text::Settings> {
    let usual = task::Object::of(&text::Settings::default())?.replaced_by(own.object());
    let settings = TaskRef::new(&text::TEXT).settings(&Input::json("generation", &usual.to_value()))?;
    Ok(settings.view()?)
}

/// Refuses requests whose longest does not fit a checkpoint's positions, or whose tokens its vocabulary may lack; else
/// nothing is odd.
///
/// # Errors
/// Names the field, what was expected, and what was found.
pub(super) fn fits(asked: &Asked<'_>, positions: usize, vocabulary: usize) -> Result<Vec<String>> {
    let needed = asked.request.view::<text::Request>()?.context() as usize;
    if needed > positions {
        return Err(RunError::input(format!(
            "request.prompt_tokens: expected at most {positions} tokens with those of the answer, its positions, found {needed}"
        )));
    }
    if let Some(largest) =
        asked.encoder.map(Encoder::largest).filter(|largest| *largest as usize >= vocabulary)
    {
        return Err(RunError::input(format!(
            "the checkpoint's vocabulary: expected all tokens of the baseline's tokenizer, up to {largest}, found {vocabulary} tokens"
        )));
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of a baseline's vocabulary, of which a model has 100 for nothing.
    #[derive(Debug)]
    struct Size(u32);

    impl Encoder for Size {
        fn encode(&self, _: &str) -> Result<Vec<u32>, String> {
            Ok(Vec::new())
        }

        fn ends(&self) -> Vec<u32> {
            Vec::new()
        }

        fn size(&self) -> u32 {
            self.0 + 100
        }

        fn largest(&self) -> u32 {
            self.0 - 1
        }
    }

    #[test]
    fn a_vocabulary_has_the_baselines_tokens_and_may_have_more() {
        let request = serde_json::json!({"prompts": "p.txt", "prompt_tokens": 8, "max_new_tokens": 8});
        let request = TaskRef::new(&text::TEXT).request(&Input::json("request", &request)).unwrap();
        let of = |size: Option<u32>, positions, vocabulary| {
            let size = size.map(Size);
            let encoder = size.as_ref().map(|size| size as &dyn Encoder);
            let asked = Asked { request: &request, device: Accelerator::Cpu, encoder };
            fits(&asked, positions, vocabulary).map_err(|error| error.to_string())
        };
        let none = Ok(Vec::new());
        assert_eq!((of(Some(2048), 16, 2048), of(Some(2048), 16, 2112)), (none.clone(), none.clone()));
        assert_eq!(of(None, 16, 512), none);
        let said = of(Some(2048), 16, 512).unwrap_err();
        assert!(
            said.contains("expected all tokens of the baseline's tokenizer, up to 2047, found 512 tokens"),
            "{said}"
        );
        assert!(of(Some(2048), 15, 2048).unwrap_err().contains("request.prompt_tokens"));
    }

    #[test]
    fn a_candidates_settings_lie_over_the_usual_ones() {
        let own = serde_json::json!({"cache": "q8_0"});
        let own = TaskRef::new(&text::TEXT).patch(&Input::json("generation", &own)).unwrap();
        let settings = text::Settings { cache: text::Weights::Q8_0, ..text::Settings::default() };
        assert_eq!(patched(&own).unwrap(), settings);
    }
}
