//! The `quality` stage: picture pairs in, records out, in order and the same for any thread count.

use std::collections::BTreeMap;
use std::path::PathBuf;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::quality::{QualityRecord, View};
use rayon::prelude::*;

use crate::clip::ClipScorer;
use crate::error::{QualityError, Result};
use crate::lpips::Lpips;
use crate::metric::{PerceptualHash, cosine, psnr, ssim_gray};
use crate::picture::Picture;
use crate::views::apply_view;

/// A picture file and the digest that its RGB bytes must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of its RGB bytes, as recorded when it was measured.
    pub digest: Digest,
}

impl PictureFile {
    /// Decodes the file and checks its digest.
    ///
    /// # Errors
    /// As [`Picture::open`]; also when the pixels are not those that were recorded.
    pub fn open(&self) -> Result<Picture> {
        self.read().map(|(picture, _)| picture)
    }

    /// The same with the file's bytes that were checked.
    ///
    /// # Errors
    /// As [`PictureFile::open`].
    pub fn read(&self) -> Result<(Picture, Vec<u8>)> {
        let bytes = Picture::bytes(&self.path)?;
        let picture = Picture::decode(&bytes, &self.path.display().to_string())?;
        let found = Digest::of(picture.rgb());
        if found != self.digest {
            return Err(QualityError::Picture {
                name: self.path.display().to_string(),
                problem: format!("its pixels have digest {found}, the samples say {}", self.digest),
                advice: "restore the picture that was measured, or measure again",
            });
        }
        Ok((picture, bytes))
    }
}

/// Two answers to one request.
#[derive(Clone, Debug)]
pub struct PicturePair {
    /// The candidate's name.
    pub candidate: String,
    /// Session of the pair.
    pub session: u32,
    /// Position of the pair in its session.
    pub pair: u32,
    /// Id of the request.
    pub request: u32,
    /// What the pictures should show.
    pub prompt: String,
    /// The baseline's picture.
    pub baseline: PictureFile,
    /// The candidate's picture.
    pub answer: PictureFile,
}

/// Judges picture pairs.
#[derive(Default)]
pub struct Judge {
    /// The CLIP to judge with; without one its metrics are left out.
    pub clip: Option<ClipScorer>,
    /// The LPIPS to judge with; without one its distance is left out.
    pub lpips: Option<Lpips>,
    /// Held-back views to judge through ([`crate::views::draw_views`]); may be none.
    pub views: Vec<View>,
}

/// What is computed once for every picture.
struct PictureFacts {
    hash: PerceptualHash,
    embedding: Option<Vec<f32>>,
    /// Embeddings through each view; empty without a CLIP.
    views: Vec<Vec<f32>>,
}

impl Judge {
    /// One record for each pair, in order. Every picture is embedded once (and once for each view)
    /// and every prompt once, however many pairs they are in; at most a batch of pictures is in
    /// memory at a time.
    /// `done` is called after each pair, from any thread, and may count.
    ///
    /// # Errors
    /// When a picture cannot be read, is not the one recorded, or the pair's sizes differ.
    pub fn judge(&self, pairs: &[PicturePair], done: &(dyn Fn() + Sync)) -> Result<Vec<QualityRecord>> {
        let pictures = self.pictures(pairs)?;
        let prompts = self.prompts(pairs)?;
        pairs
            .par_iter()
            .map(|pair| {
                let record = self
                    .record(pair, &pictures, &prompts)
                    .map_err(|error| error.of_pair(&pair.baseline.path, &pair.answer.path));
                done();
                record
            })
            .collect()
    }

    fn pictures(&self, pairs: &[PicturePair]) -> Result<BTreeMap<Digest, PictureFacts>> {
        let files = files(pairs);
        let mut facts = BTreeMap::new();
        for batch in files.chunks(ClipScorer::BATCH) {
            let opened = batch
                .par_iter()
                .map(|f| f.open().and_then(|p| Ok((PerceptualHash::of(&p)?, p))))
                .collect::<Result<Vec<_>>>()?;
            let (hashes, pictures): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
            let mut made: Vec<PictureFacts> = hashes
                .into_iter()
                .map(|hash| PictureFacts { hash, embedding: None, views: Vec::new() })
                .collect();
            if let Some(clip) = &self.clip {
                for (facts, embedding) in made.iter_mut().zip(clip.embed_pictures(&pictures)?) {
                    facts.embedding = Some(embedding);
                }
                for view in &self.views {
                    let seen =
                        pictures.par_iter().map(|p| apply_view(p, *view)).collect::<Result<Vec<_>>>()?;
                    for (facts, embedding) in made.iter_mut().zip(clip.embed_pictures(&seen)?) {
                        facts.views.push(embedding);
                    }
                }
            }
            facts.extend(batch.iter().map(|file| file.digest).zip(made));
        }
        Ok(facts)
    }

    fn prompts<'a>(&self, pairs: &'a [PicturePair]) -> Result<BTreeMap<&'a str, Vec<f32>>> {
        let Some(clip) = &self.clip else { return Ok(BTreeMap::new()) };
        let mut prompts: Vec<&str> = pairs.iter().map(|p| p.prompt.as_str()).collect();
        prompts.sort_unstable();
        prompts.dedup();
        let embeddings = clip.embed_prompts(&prompts)?;
        Ok(prompts.into_iter().zip(embeddings).collect())
    }

    fn record(
        &self,
        pair: &PicturePair,
        pictures: &BTreeMap<Digest, PictureFacts>,
        prompts: &BTreeMap<&str, Vec<f32>>,
    ) -> Result<QualityRecord> {
        let (a, b) = (pair.baseline.open()?, pair.answer.open()?);
        // Both digests were inserted by `Judge::pictures`.
        let (fa, fb) = (&pictures[&pair.baseline.digest], &pictures[&pair.answer.digest]);
        let text = prompts.get(pair.prompt.as_str());
        let ssim = ssim_gray(&a, &b)?;
        let clip = optional_cosine(fa.embedding.as_ref(), fb.embedding.as_ref())?;
        let seen = |view: &View| ssim_gray(&apply_view(&a, *view)?, &apply_view(&b, *view)?);
        let seen_by_clip = |(va, vb): (&Vec<f32>, &Vec<f32>)| cosine(va, vb);
        Ok(QualityRecord {
            candidate: pair.candidate.clone(),
            session: pair.session,
            pair: pair.pair,
            request: pair.request,
            baseline_image: pair.baseline.digest,
            candidate_image: pair.answer.digest,
            ssim_gray: ssim,
            psnr_db: psnr(&a, &b)?,
            phash_distance: fa.hash.distance(&fb.hash),
            clip_image_cosine: clip,
            clip_text_baseline: optional_cosine(fa.embedding.as_ref(), text)?,
            clip_text_candidate: optional_cosine(fb.embedding.as_ref(), text)?,
            lpips: self.lpips.as_ref().map(|lpips| lpips.distance(&a, &b)).transpose()?,
            wombo_2025: clip.map(|clip| wombo_2025(clip, ssim)),
            held_back_ssim_gray: smallest(self.views.iter().map(seen))?,
            held_back_clip_image_cosine: smallest(fa.views.iter().zip(&fb.views).map(seen_by_clip))?,
        })
    }
}

/// Every picture once, by digest.
fn files(pairs: &[PicturePair]) -> Vec<&PictureFile> {
    let files: BTreeMap<Digest, &PictureFile> =
        pairs.iter().flat_map(|p| [&p.baseline, &p.answer]).map(|f| (f.digest, f)).collect();
    files.into_values().collect()
}

fn optional_cosine(a: Option<&Vec<f32>>, b: Option<&Vec<f32>>) -> Result<Option<f64>> {
    match (a, b) {
        (Some(a), Some(b)) => cosine(a, b).map(Some),
        _ => Ok(None),
    }
}

/// `None` of no values.
fn smallest(values: impl Iterator<Item = Result<f64>>) -> Result<Option<f64>> {
    Ok(values.collect::<Result<Vec<_>>>()?.into_iter().reduce(f64::min))
}

/// The similarity of the original subnet in 2025: 0.35·CLIP image cosine + 0.65·SSIM.
pub fn wombo_2025(clip_image_cosine: f64, ssim_gray: f64) -> f64 {
    0.35 * clip_image_cosine + 0.65 * ssim_gray
}
