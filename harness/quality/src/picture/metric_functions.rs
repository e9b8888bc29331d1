//! How each metric of pictures is computed. What a metric is called, means and needs stands in
//! [`edgemaxx_contract::metric::TABLE`].

use edgemaxx_contract::quality::Sides;

use super::cosine::cosine;
use super::pixelwise::{psnr, ssim_gray};
use super::prepared::{Found, Functions};
use crate::error::Result;

/// One function for each metric of pictures, by the name it has in the table.
pub(super) const FUNCTIONS: Functions = &[
    ("ssim_gray", |pair| one(ssim_gray(pair.baseline.picture, pair.candidate.picture)?)),
    ("psnr_db", |pair| Ok(psnr(pair.baseline.picture, pair.candidate.picture)?.map(Found::One))),
    ("phash_distance", |pair| one(f64::from(pair.baseline.hash.distance(pair.candidate.hash)))),
    ("clip_image_cosine", |pair| match pair.embeddings() {
        Some([baseline, candidate]) => one(cosine(baseline, candidate)?),
        None => Ok(None),
    }),
    ("clip_text_difference", |pair| match (pair.embeddings(), pair.prompt) {
        (Some([baseline, candidate]), Some(text)) => {
            let sides = Sides { baseline: cosine(baseline, text)?, candidate: cosine(candidate, text)? };
            Ok(Some(Found::Each(sides)))
        }
        _ => Ok(None),
    }),
    ("lpips", |pair| match pair.lpips {
        Some(lpips) => one(lpips.distance(pair.baseline.picture, pair.candidate.picture)?),
        None => Ok(None),
    }),
    ("wombo_2025", |pair| match pair.value("clip_image_cosine")? {
        Some(clip) => Ok(pair.value("ssim_gray")?.map(|ssim| Found::One(0.35 * clip + 0.65 * ssim))),
        None => Ok(None),
    }),
];

fn one(value: f64) -> Result<Option<Found>> {
    Ok(Some(Found::One(value)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use edgemaxx_contract::metric::TABLE;

    use super::*;

    #[test]
    fn every_metric_of_pictures_is_computed_and_no_other() {
        let described: Vec<&str> =
            TABLE.iter().filter(|entry| entry.task == "picture").map(|entry| entry.name).collect();
        let computed: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(computed.iter().collect::<BTreeSet<_>>(), described.iter().collect());
        assert_eq!(computed.len(), described.len(), "each once");
    }
}
