//! The judge of pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::quality::Judgement;
use edgemaxx_contract::task::picture;
use edgemaxx_picture::Picture;
use rayon::prelude::*;
use serde_json::Value;

use super::clip::ClipEmbedder;
use super::cosine::cosine;
use super::lpips::Lpips;
use super::metric_functions::FUNCTIONS;
use super::pixelwise::PerceptualHash;
use super::prepared::{Known, Prepared, judgement};
use super::views::{View, apply_view, draw_views};
use crate::error::{QualityError, Result};
use crate::judge::{Artefact, Judge, Pair};

/// Decodes a kept picture and checks its digest: that of its RGB bytes.
///
/// # Errors
/// As [`Picture::open`]; also when the pixels are not those that were recorded.
fn open(artefact: &Artefact) -> Result<Picture> {
    read(artefact).map(|(picture, _)| picture)
}

/// The same with the file's bytes that were checked.
///
/// # Errors
/// As [`open`].
fn read(artefact: &Artefact) -> Result<(Picture, Vec<u8>)> {
    let bytes = Picture::bytes(&artefact.path)?;
    let picture = Picture::decode(&bytes, &artefact.path.display().to_string())?;
    let found = Digest::of(picture.rgb());
    if found != artefact.digest {
        return Err(QualityError::Exchanged {
            path: artefact.path.clone(),
            found,
            recorded: artefact.digest,
        });
    }
    Ok((picture, bytes))
}

/// Judges pictures.
#[derive(Default)]
pub struct PictureJudge {
    clip: Option<ClipEmbedder>,
    lpips: Option<Lpips>,
}

/// CLIP's vectors of a picture, and of it through each view.
struct Embeddings {
    plain: Vec<f32>,
    views: Vec<Vec<f32>>,
}

/// Perceptual hashes of a picture, and of it through each view.
struct Hashes {
    plain: PerceptualHash,
    views: Vec<PerceptualHash>,
}

/// Hashes by the digest of what they are of, each made when the first pair needs it: a baseline's picture is in the pair
/// of every candidate.
type Hashed = BTreeMap<Digest, OnceLock<Hashes>>;

impl PictureJudge {
    /// With the models in these folders.
    ///
    /// # Errors
    /// When one cannot be loaded; the message names what is missing.
    pub fn load(models: &BTreeMap<Model, PathBuf>) -> Result<Self> {
        let folder = |model| models.get(&model).map(PathBuf::as_path);
        Ok(Self {
            clip: folder(Model::Clip).map(ClipEmbedder::load).transpose()?,
            lpips: folder(Model::Lpips).map(Lpips::load).transpose()?,
        })
    }

    /// Every picture is embedded once and once for each view, however many pairs it is in; at most a batch of
    /// pictures is in memory at a time.
    fn embeddings(&self, pairs: &[Pair], views: &[View]) -> Result<BTreeMap<Digest, Embeddings>> {
        if self.clip.is_none() {
            return Ok(BTreeMap::new());
        }
        let answers = pairs.iter().flat_map(|pair| [&pair.baseline, &pair.answer]);
        let answers: BTreeMap<Digest, &Artefact> = answers.map(|file| (file.digest, file)).collect();
        let answers: Vec<&Artefact> = answers.into_values().collect();
        let mut found = BTreeMap::new();
        for batch in answers.chunks(ClipEmbedder::BATCH) {
            let pictures = batch.par_iter().map(|file| open(file)).collect::<Result<Vec<_>>>()?;
            let made = self.embed(&pictures, views)?;
            found.extend(batch.iter().map(|file| file.digest).zip(made));
        }
        Ok(found)
    }

    /// Every prompt is embedded once.
    fn prompts<'a>(&self, prompts: &'a [String]) -> Result<BTreeMap<&'a str, Vec<f32>>> {
        let Some(clip) = &self.clip else { return Ok(BTreeMap::new()) };
        let mut prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        prompts.sort_unstable();
        prompts.dedup();
        let embeddings = clip.embed_prompts(&prompts)?;
        Ok(prompts.into_iter().zip(embeddings).collect())
    }

    /// What the metrics say of two pictures in memory, through `views` too.
    ///
    /// # Errors
    /// When the two cannot be compared.
    pub fn compare_pictures(
        &self,
        [baseline, candidate]: &[Picture; 2],
        prompt: Option<&str>,
        views: &[View],
    ) -> Result<Judgement> {
        let embeddings = self.embed(&[baseline.clone(), candidate.clone()], views)?;
        let clip = self.clip.as_ref();
        let text = clip.zip(prompt).map(|(clip, prompt)| clip.embed_prompts(&[prompt])).transpose()?;
        let both = if let [a, b] = embeddings.as_slice() { Some([a, b]) } else { None };
        let text = text.as_ref().map(|text| text[0].as_slice());
        self.pair([baseline, candidate], [&OnceLock::new(), &OnceLock::new()], views, both, text)
    }

    /// The vectors of pictures; none without a CLIP.
    fn embed(&self, pictures: &[Picture], views: &[View]) -> Result<Vec<Embeddings>> {
        let Some(clip) = &self.clip else { return Ok(Vec::new()) };
        let plain = clip.embed_pictures(pictures)?;
        let mut made: Vec<Embeddings> =
            plain.into_iter().map(|plain| Embeddings { plain, views: Vec::new() }).collect();
        for view in views {
            let seen = pictures.par_iter().map(|p| apply_view(p, *view)).collect::<Result<Vec<_>>>()?;
            for (made, seen) in made.iter_mut().zip(clip.embed_pictures(&seen)?) {
                made.views.push(seen);
            }
        }
        Ok(made)
    }

    fn pair(
        &self,
        pictures: [&Picture; 2],
        hashes: [&OnceLock<Hashes>; 2],
        views: &[View],
        embeddings: Option<[&Embeddings; 2]>,
        prompt: Option<&[f32]>,
    ) -> Result<Judgement> {
        let see = |picture| views.iter().map(|view| apply_view(picture, *view)).collect::<Result<Vec<_>>>();
        let seen = [see(pictures[0])?, see(pictures[1])?];
        let hashed = |side: usize| {
            let make = || Hashes {
                plain: PerceptualHash::of(pictures[side]),
                views: seen[side].iter().map(PerceptualHash::of).collect(),
            };
            hashes[side].get_or_init(make)
        };
        let lpips = self.lpips.as_ref();
        let plain = |side: usize| Known {
            picture: pictures[side],
            hash: hashed(side).plain,
            embedding: embeddings.map(|both| both[side].plain.as_slice()),
        };
        let through = |side: usize, view: usize| Known {
            picture: &seen[side][view],
            hash: hashed(side).views[view],
            embedding: embeddings.map(|both| both[side].views[view].as_slice()),
        };
        let prepared = |both| Prepared::new(both, prompt, lpips, FUNCTIONS);
        let views: Vec<Prepared<'_>> =
            (0..views.len()).map(|view| prepared([through(0, view), through(1, view)])).collect();
        judgement(&prepared([plain(0), plain(1)]), &views)
    }
}

impl Judge for PictureJudge {
    fn draw_views(&self, head: Digest) -> Vec<Value> {
        draw_views(head).iter().map(View::to_value).collect()
    }

    fn read(&self, artefact: &Artefact) -> Result<Vec<u8>> {
        read(artefact).map(|(_, bytes)| bytes)
    }

    fn judge(&self, pairs: &[Pair], views: &[Value], done: &(dyn Fn() + Sync)) -> Result<Vec<Judgement>> {
        let views = views.iter().map(View::from_value).collect::<Result<Vec<_>>>()?;
        let embeddings = self.embeddings(pairs, &views)?;
        let prompts: Vec<String> =
            pairs.iter().map(|pair| Ok(pair.ask.view::<picture::Ask>()?.prompt)).collect::<Result<_>>()?;
        let embedded = self.prompts(&prompts)?;
        let answers = pairs.iter().flat_map(|pair| [pair.baseline.digest, pair.answer.digest]);
        let hashes: Hashed = answers.map(|digest| (digest, OnceLock::new())).collect();
        pairs
            .par_iter()
            .zip(&prompts)
            .map(|(pair, prompt)| {
                let judge = || {
                    let (baseline, candidate) = (open(&pair.baseline)?, open(&pair.answer)?);
                    let of = |digest| embeddings.get(&digest);
                    let both = of(pair.baseline.digest).zip(of(pair.answer.digest)).map(<[_; 2]>::from);
                    let prompt = embedded.get(prompt.as_str()).map(Vec::as_slice);
                    let hashes = [&hashes[&pair.baseline.digest], &hashes[&pair.answer.digest]];
                    self.pair([&baseline, &candidate], hashes, &views, both, prompt)
                };
                let judgement =
                    judge().map_err(|error| error.of_pair(&pair.baseline.path, &pair.answer.path));
                done();
                judgement
            })
            .collect()
    }

    fn follows(&self, baseline: [&Artefact; 2], candidate: [&Artefact; 2]) -> Result<Option<f64>> {
        let both =
            |[first, second]: [&Artefact; 2]| -> Result<[Picture; 2]> { Ok([open(first)?, open(second)?]) };
        let [theirs, own] = [baseline, candidate].map(both);
        followed(&theirs?, &own?)
    }

    fn compare(&self, a: &Path, b: &Path, prompt: Option<&str>) -> Result<Judgement> {
        let pictures = [Picture::open(a)?, Picture::open(b)?];
        self.compare_pictures(&pictures, prompt, &[]).map_err(|error| error.of_pair(a, b))
    }
}

/// The cosine of the candidate's change from the first picture to the second with the baseline's, over all pixels; 0
/// where the candidate's does not change.
///
/// # Errors
/// The two sides' pictures are of different sizes.
fn followed(baseline: &[Picture; 2], candidate: &[Picture; 2]) -> Result<Option<f64>> {
    let change = |[first, second]: &[Picture; 2]| -> Vec<f32> {
        let values = first.rgb().iter().zip(second.rgb());
        values.map(|(first, second)| f32::from(*second) - f32::from(*first)).collect()
    };
    let same_size = |[first, second]: &[Picture; 2]| first.rgb().len() == second.rgb().len();
    let still = |change: &[f32]| change.iter().all(|value| *value == 0.0);
    let (theirs, own) = (change(baseline), change(candidate));
    if !same_size(baseline) || !same_size(candidate) || still(&theirs) {
        return Ok(None);
    }
    if still(&own) { Ok(Some(0.0)) } else { cosine(&own, &theirs).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: [u8; 12]) -> Picture {
        Picture::from_rgb(2, 2, values.to_vec()).expect("a picture")
    }

    #[test]
    fn who_follows_the_noise_differs_as_the_baseline_does() {
        let one = picture([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]);
        let other = picture([30, 20, 10, 60, 50, 40, 90, 80, 70, 120, 110, 100]);
        let theirs = [one.clone(), other.clone()];
        let is = |candidate: [Picture; 2], wanted: f64| {
            let found = followed(&theirs, &candidate).expect("pictures").expect("the baseline's differ");
            assert!((found - wanted).abs() < 1e-9, "{found} for {wanted}");
        };
        is(theirs.clone(), 1.0);
        is([one.clone(), one.clone()], 0.0);
        is([other.clone(), one.clone()], -1.0);
        // It differs, but in what the noise leaves as it is.
        is([one.clone(), picture([10, 90, 30, 40, 10, 60, 70, 80, 90, 100, 0, 120])], 0.0);
        let none = followed(&[one.clone(), one.clone()], &theirs).expect("pictures");
        assert_eq!(none, None, "nothing to follow");
    }
}
