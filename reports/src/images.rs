//! Pictures for the page: as they are while they fit, smaller and compressed when they do not.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use edgemaxx_contract::digest::Digest;
use edgemaxx_picture::Picture;

use crate::view::ImageSource;

/// Edges of thumbnails, largest first, in pixels.
const EDGES: [u32; 6] = [256, 192, 128, 96, 64, 48];
const JPEG_QUALITY: u8 = 85;

/// The two pictures of a pair as `data:` addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairPictures {
    pub baseline: String,
    pub candidate: String,
    pub width: u32,
    pub height: u32,
    /// Edge of the thumbnail, if the pictures are not shown as they are.
    pub thumbnail: Option<u32>,
}

/// How many pairs to show of each of `candidates`, so that a page stays readable and quick.
pub(crate) fn pairs_per_candidate(candidates: usize) -> usize {
    (120 / candidates.max(1)).clamp(2, 10)
}

/// Embeds pairs (baseline, candidate) within `budget` characters, shared equally among them.
/// A pair is `None` when a picture was not kept, cannot be read, or would not fit.
pub(crate) fn embed(
    pairs: &[(Digest, Digest)],
    source: &dyn ImageSource,
    budget: usize,
) -> Vec<Option<PairPictures>> {
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
    source: &dyn ImageSource,
    share: usize,
) -> Option<PairPictures> {
    let (a, b) = (source.png(baseline)?, source.png(candidate)?);
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

    impl ImageSource for Map {
        fn png(&self, digest: &Digest) -> Option<Vec<u8>> {
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
