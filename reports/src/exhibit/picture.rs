//! Pictures for the page: as they are while they fit, smaller and compressed when they do not.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_picture::Picture;

use super::task::{Exhibit, Shown};
use crate::view::AnswerSource;

/// Edges of thumbnails, largest first, in pixels.
const EDGES: [u32; 6] = [256, 192, 128, 96, 64, 48];
const JPEG_QUALITY: u8 = 85;

/// Shows pictures.
pub(super) struct PictureExhibit;

impl Exhibit for PictureExhibit {
    fn timing(&self) -> &'static str {
        "For the same prompt and the same initial noise, the time from the request fully sent to the picture \
         fully received, on the harness's own clock, for the baseline and for the candidate, one right after \
         the other."
    }

    fn show(&self, pairs: &[&QualityRecord], source: &dyn AnswerSource, budget: usize) -> Vec<Option<Shown>> {
        let pairs: Vec<_> =
            pairs.iter().map(|record| (record.baseline_answer, record.candidate_answer)).collect();
        embed(&pairs, source, budget).into_iter().map(|pair| pair.map(|pair| pair.shown())).collect()
    }

    fn reduced(&self, reduced: u32) -> String {
        format!(
            "Shown as compressed thumbnails of at most {reduced} pixels; every number is of the full pictures. "
        )
    }
}

/// The two pictures of a pair as `data:` addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PairPictures {
    baseline: String,
    candidate: String,
    width: u32,
    height: u32,
    /// Edge of the thumbnail, if the pictures are not shown as they are.
    thumbnail: Option<u32>,
}

impl PairPictures {
    fn shown(&self) -> Shown {
        let shot = |alt: &str, source: &str, words: &str| {
            format!(
                "<div class=\"shot\"><img loading=\"lazy\" decoding=\"async\" width=\"{}\" height=\"{}\" alt=\"{alt}\" \
                 src=\"{source}\">{words}</div>",
                self.width, self.height
            )
        };
        let shots = if self.baseline == self.candidate {
            shot("The picture of both", &self.baseline, "both the same")
        } else {
            shot("Baseline’s picture", &self.baseline, "baseline")
                + &shot("Candidate’s picture", &self.candidate, "candidate")
        };
        Shown {
            html: format!("<div class=\"shots\">{shots}</div>"),
            narrow: self.width < 200,
            reduced: self.thumbnail,
        }
    }
}

/// Embeds pairs (baseline, candidate) within `budget` characters, shared equally among them.
/// A pair is `None` when a picture was not kept, cannot be read, or would not fit.
fn embed(pairs: &[(Digest, Digest)], source: &dyn AnswerSource, budget: usize) -> Vec<Option<PairPictures>> {
    let share = budget / pairs.len().max(1);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let chunk = pairs.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let work = |part: &[(Digest, Digest)]| -> Vec<Option<PairPictures>> {
            part.iter().map(|(baseline, candidate)| pair(baseline, candidate, source, share)).collect()
        };
        let handles: Vec<_> = pairs.chunks(chunk).map(|part| scope.spawn(move || work(part))).collect();
        pairs
            .chunks(chunk)
            .zip(handles)
            // A worker that panicked (a decoder's bug) costs its pictures, not the report.
            .flat_map(|(part, handle)| handle.join().unwrap_or_else(|_| vec![None; part.len()]))
            .collect()
    })
}

fn pair(
    baseline: &Digest,
    candidate: &Digest,
    source: &dyn AnswerSource,
    share: usize,
) -> Option<PairPictures> {
    let (a, b) = (source.file(baseline)?, source.file(candidate)?);
    let first = decode(&a)?;
    let second = decode(&b)?;
    let (width, height) = (first.width(), first.height());
    let fits = |bytes: usize| bytes.div_ceil(3) * 4 + 60 <= share;
    if width.max(height) <= EDGES[0] && fits(a.len() + b.len()) {
        let uri = |bytes: &[u8]| format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
        return Some(PairPictures { baseline: uri(&a), candidate: uri(&b), width, height, thumbnail: None });
    }
    let edges = EDGES.iter().copied().filter(|edge| *edge < 2 * width.max(height));
    for edge in edges {
        // No attempt that cannot succeed: a JPEG has some 600 bytes of tables.
        if !fits(2 * (600 + (edge * edge) as usize / 16)) {
            continue;
        }
        let (a, b) = (thumbnail(&first, edge)?, thumbnail(&second, edge)?);
        if fits(a.len() + b.len()) {
            let uri = |bytes: &[u8]| format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes));
            return Some(PairPictures {
                baseline: uri(&a),
                candidate: uri(&b),
                width,
                height,
                thumbnail: Some(edge.min(width.max(height))),
            });
        }
    }
    None
}

fn decode(png: &[u8]) -> Option<Picture> {
    Picture::decode(png, "a kept picture").ok()
}

/// A JPEG whose longer edge is at most `edge` pixels.
fn thumbnail(picture: &Picture, edge: u32) -> Option<Vec<u8>> {
    picture.clone().within(edge).to_jpeg(JPEG_QUALITY).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Map(BTreeMap<Digest, Vec<u8>>);

    impl AnswerSource for Map {
        fn file(&self, digest: &Digest) -> Option<Vec<u8>> {
            self.0.get(digest).cloned()
        }
    }

    fn noise(edge: u32) -> Vec<u8> {
        let pixels = (0..edge).flat_map(|y| (0..edge).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| {
            let v = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_mul(x + 7)) >> 8;
            [v as u8, (v >> 4) as u8, (v >> 9) as u8]
        });
        let picture = Picture::from_rgb(edge, edge, rgb.collect()).expect("a picture");
        picture.to_png().expect("memory")
    }

    #[test]
    fn pictures_shrink_until_they_fit_and_never_exceed_the_budget() {
        let (a, b, broken) = (Digest::of("a"), Digest::of("b"), Digest::of("broken"));
        let map = Map(BTreeMap::from([(a, noise(300)), (b, noise(300)), (broken, b"no png".to_vec())]));
        for budget in [2_000_000, 100_000, 20_000, 8_000, 1000] {
            let shown = embed(&[(a, b)], &map, budget);
            let size = shown[0].as_ref().map_or(0, |p| p.baseline.len() + p.candidate.len());
            assert!(size <= budget, "{size} {budget}");
            assert_eq!(shown[0].is_some(), budget > 5000, "{budget}");
            assert!(shown[0].iter().all(|p| p.thumbnail.is_some_and(|edge| edge <= 256)));
        }
        let small = Map(BTreeMap::from([(a, noise(32)), (b, noise(32))]));
        let shown = embed(&[(a, b)], &small, 100_000);
        assert!(shown[0].as_ref().is_some_and(|p| p.thumbnail.is_none() && p.width == 32));
        assert_eq!(embed(&[(a, broken), (a, Digest::of("gone"))], &map, 1_000_000), [None, None]);
    }
}
