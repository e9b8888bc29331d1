//! Two picture files compared: what `edgemaxx quality A.png B.png` answers.

use std::path::Path;

use serde::Serialize;

use crate::clip::ClipScorer;
use crate::error::Result;
use crate::judge::wombo_2025;
use crate::metric::{cosine, phash_distance, psnr, ssim_gray};
use crate::picture::Picture;

/// The numbers of one pair; `None` where they are undefined or were not asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// SSIM of the grey pictures, −1 to 1.
    pub ssim_gray: f64,
    /// PSNR, decibels; `None`: identical pictures.
    pub psnr: Option<f64>,
    /// Differing bits of the perceptual hashes, 0 to 64.
    pub phash_distance: u32,
    /// Cosine of the CLIP image embeddings; needs a CLIP.
    pub clip_image_cosine: Option<f64>,
    /// CLIP cosine of the first picture and the prompt; needs both.
    pub clip_text_score_a: Option<f64>,
    /// CLIP cosine of the second picture and the prompt; needs both.
    pub clip_text_score_b: Option<f64>,
    /// 0.35·CLIP image cosine + 0.65·SSIM; needs a CLIP.
    pub wombo_2025: Option<f64>,
}

/// Compares two picture files.
///
/// # Errors
/// When a picture cannot be read, or the two cannot be compared; names the files.
pub fn compare_files(
    a: &Path,
    b: &Path,
    prompt: Option<&str>,
    clip: Option<&ClipScorer>,
) -> Result<Comparison> {
    compare(&Picture::open(a)?, &Picture::open(b)?, prompt, clip).map_err(|error| error.of_pair(a, b))
}

/// Compares two pictures in memory.
///
/// # Errors
/// When the sizes differ or the model cannot embed them.
pub fn compare(
    a: &Picture,
    b: &Picture,
    prompt: Option<&str>,
    clip: Option<&ClipScorer>,
) -> Result<Comparison> {
    let mut out = Comparison {
        ssim_gray: ssim_gray(a, b)?,
        psnr: psnr(a, b)?,
        phash_distance: phash_distance(a, b)?,
        clip_image_cosine: None,
        clip_text_score_a: None,
        clip_text_score_b: None,
        wombo_2025: None,
    };
    let Some(clip) = clip else { return Ok(out) };
    let pictures = clip.embed_pictures(&[a.clone(), b.clone()])?;
    let image = cosine(&pictures[0], &pictures[1])?;
    out.clip_image_cosine = Some(image);
    out.wombo_2025 = Some(wombo_2025(image, out.ssim_gray));
    if let Some(prompt) = prompt {
        let text = &clip.embed_prompts(&[prompt])?[0];
        out.clip_text_score_a = Some(cosine(&pictures[0], text)?);
        out.clip_text_score_b = Some(cosine(&pictures[1], text)?);
    }
    Ok(out)
}
