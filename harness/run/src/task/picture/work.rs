//! What any engine must do for a picture.

use edgemaxx_candle::CheckpointSource;
use edgemaxx_candle::work::{Asked, of_picture};
use edgemaxx_contract::contest::Recipe;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::task::picture;

use crate::error::{Result, RunError, words};

/// By the checkpoint's tensors, at the precision that the settings name, or that a recipe stores weights in.
///
/// # Errors
/// A part of the checkpoint cannot be read.
pub(super) fn work(
    checkpoint: &CheckpointSource,
    request: &picture::Request,
    settings: &picture::Settings,
    recipe: Option<Recipe>,
) -> Result<Work> {
    let computed = if settings.dtype == Dtype::F32 { 4 } else { 2 };
    let stored = match recipe {
        Some(Recipe::Int8) => 1,
        Some(Recipe::F16 | Recipe::Bf16) => 2,
        Some(Recipe::Noise { .. }) | None => computed,
    };
    let asked = Asked {
        width: request.width,
        height: request.height,
        steps: settings.steps,
        guided: settings.guidance_scale > 1.0,
        bytes: computed.min(stored),
    };
    let parts = of_picture(checkpoint, &asked).map_err(|error| RunError::input(words(&error)))?;
    Ok(Work { dtype: settings.dtype, parts })
}
