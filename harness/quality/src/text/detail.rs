//! What a page shows of two texts: their pieces, and the model's margin at each.

use edgemaxx_candle::llama::Vocabulary;
use serde_json::{Value, json};

use super::reader::Read;
use crate::error::{QualityError, Result};

/// Tokens of which this is kept.
const MOST: usize = 256;

/// The pieces and margins of both texts, once where they are the same: `{"baseline": {"pieces", "margins"}, "candidate"}`.
pub(super) fn detail(
    vocabulary: &Vocabulary,
    [(baseline, of_baseline), (candidate, of_candidate)]: [(&[u32], &Read); 2],
) -> Result<Value> {
    let side = |ids: &[u32], read: &Read| -> Result<Value> {
        let ids = &ids[..ids.len().min(MOST)];
        let pieces = vocabulary.pieces(ids).map_err(|error| QualityError::Baseline(error.to_string()))?;
        let margins = read.margins.iter().take(MOST).map(|margin| (margin * 1e3).round() / 1e3);
        Ok(json!({ "pieces": pieces, "margins": margins.collect::<Vec<f64>>() }))
    };
    if baseline == candidate {
        return Ok(json!({ "baseline": side(baseline, of_baseline)? }));
    }
    Ok(json!({ "baseline": side(baseline, of_baseline)?, "candidate": side(candidate, of_candidate)? }))
}
