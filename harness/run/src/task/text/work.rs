//! What any engine must do for a text.

use edgemaxx_candle::CheckpointSource;
use edgemaxx_candle::work::{AskedText, of_text};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::task::text::{Ask, Settings, Weights};

use crate::error::{Result, RunError, words};

/// By the checkpoint's tensors, for the plan's shortest prompt, with weights kept as the settings say.
///
/// # Errors
/// The checkpoint, or the plan, cannot be read.
pub(super) fn work(checkpoint: &CheckpointSource, plan: &Plan, pipeline: &PipelinePlan) -> Result<Work> {
    let settings: Settings = pipeline.settings.view()?;
    let mut shortest = u64::MAX;
    for request in &plan.requests {
        shortest = shortest.min(request.ask.view::<Ask>()?.prompt_ids.len() as u64);
    }
    let bits = match settings.weights {
        Weights::Stored => None,
        Weights::F32 => Some(32),
        Weights::F16 | Weights::Bf16 => Some(16),
        Weights::Q8_0 => Some(8),
        Weights::Q4_0 | Weights::Q4_1 => Some(4),
    };
    // Guessed ahead, several tokens may come of one reading of the weights.
    let asked = AskedText {
        prompt: if shortest == u64::MAX { 1 } else { shortest },
        bits,
        at_once: settings.lookup + 1,
    };
    let parts = of_text(&checkpoint.root, &asked).map_err(|error| RunError::input(words(&error)))?;
    let dtype = if settings.weights == Weights::F32 { Dtype::F32 } else { Dtype::F16 };
    Ok(Work { dtype, parts })
}
