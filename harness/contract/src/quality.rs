//! `quality.jsonl`: the numbers of every picture pair.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::contest::Metric;
use crate::digest::Digest;
use crate::format::{Format, FormatError};
use crate::plan::Plan;
use crate::sample::Log;

/// The first line of `quality.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityHeader {
    /// `edgemaxx-quality`.
    #[serde(flatten)]
    pub format: Format,
    /// The head of the samples' hash chain that was judged.
    pub samples: Digest,
    /// Digest of the CLIP folder, where one was used.
    pub clip: Option<Digest>,
    /// Digest of the LPIPS folder, where one was used.
    pub lpips: Option<Digest>,
    /// The held-back views, drawn from `samples`; none where no gate reads them.
    pub views: Vec<View>,
}

impl QualityHeader {
    /// The format of `quality.jsonl`.
    pub fn format() -> Format {
        Format::new("edgemaxx-quality", 1)
    }
}

/// One pair of pictures: the baseline's and a candidate's answer to the same request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityRecord {
    /// The candidate's name.
    pub candidate: String,
    /// Session of the pair.
    pub session: u32,
    /// Position of the pair in its session.
    pub pair: u32,
    /// Id of the request.
    pub request: u32,
    /// The baseline's picture.
    pub baseline_image: Digest,
    /// The candidate's picture.
    pub candidate_image: Digest,
    /// SSIM of the grey pictures.
    pub ssim_gray: f64,
    /// PSNR in dB; `None`: identical pictures.
    pub psnr_db: Option<f64>,
    /// Hamming distance of the perceptual hashes, bits.
    pub phash_distance: u32,
    /// Cosine of the CLIP image embeddings.
    pub clip_image_cosine: Option<f64>,
    /// CLIP text–image cosine of the baseline's picture.
    pub clip_text_baseline: Option<f64>,
    /// CLIP text–image cosine of the candidate's picture.
    pub clip_text_candidate: Option<f64>,
    /// LPIPS distance.
    pub lpips: Option<f64>,
    /// 0.35·CLIP image cosine + 0.65·SSIM.
    pub wombo_2025: Option<f64>,
    /// The smallest SSIM of the grey pictures over the held-back views.
    pub held_back_ssim_gray: Option<f64>,
    /// The smallest cosine of the CLIP image embeddings over the held-back views.
    pub held_back_clip_image_cosine: Option<f64>,
}

impl QualityRecord {
    /// The value of `metric`; `None` where it was not computed. Identical pictures have an
    /// infinite PSNR, which stays `None` here.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::SsimGray => Some(self.ssim_gray),
            Metric::PsnrDb => self.psnr_db,
            Metric::PhashDistance => Some(f64::from(self.phash_distance)),
            Metric::ClipImageCosine => self.clip_image_cosine,
            Metric::ClipTextDifference => Some(self.clip_text_candidate? - self.clip_text_baseline?),
            Metric::Lpips => self.lpips,
            Metric::Wombo2025 => self.wombo_2025,
            Metric::HeldBackSsimGray => self.held_back_ssim_gray,
            Metric::HeldBackClipImageCosine => self.held_back_clip_image_cosine,
        }
    }
}

/// A held-back way to look at a picture: drawn when all pictures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum View {
    /// A part of the picture; all in thousandths of the picture's width and height.
    Crop {
        /// Left edge.
        left: u16,
        /// Upper edge.
        top: u16,
        /// Width and height.
        side: u16,
        /// Whether left and right are exchanged.
        mirrored: bool,
    },
    /// A trip through a JPEG file.
    Jpeg {
        /// Quality, 1 to 100.
        quality: u8,
    },
}

/// `quality.jsonl` as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityLog {
    /// The first line.
    pub header: QualityHeader,
    /// The other lines.
    pub records: Vec<QualityRecord>,
}

/// A quality file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// Not a record.
    #[error("line {line}: {source}")]
    Record {
        /// Line, from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// Another kind or version of file.
    #[error("line 1: {0}")]
    Format(#[from] FormatError),
    /// Nothing in it.
    #[error("the file is empty; expected a header line")]
    Empty,
    /// It does not judge each pair of the samples once.
    #[error("pair {pair} of session {session} ({candidate}) {problem}")]
    Pair {
        /// Position of the pair in its session.
        pair: u32,
        /// The session.
        session: u32,
        /// Whose session.
        candidate: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl QualityLog {
    /// Reads `quality.jsonl`.
    ///
    /// # Errors
    /// [`QualityError`] names the line.
    pub fn parse(text: &str) -> Result<Self, QualityError> {
        fn read<'a, T: Deserialize<'a>>((index, line): (usize, &'a str)) -> Result<T, QualityError> {
            serde_json::from_str(line).map_err(|source| QualityError::Record { line: index + 1, source })
        }
        let mut lines = text.lines().enumerate();
        let header: QualityHeader = read(lines.next().ok_or(QualityError::Empty)?)?;
        header.format.expect(&QualityHeader::format())?;
        Ok(Self { header, records: lines.map(read).collect::<Result<_, _>>()? })
    }

    /// Whether it judges the pairs of `log` both of whose sides gave a picture, each once, and no others.
    ///
    /// # Errors
    /// [`QualityError::Pair`] names the first that it does not.
    pub fn check(&self, plan: &Plan, log: &Log) -> Result<(), QualityError> {
        let mut pairs = BTreeMap::new();
        for (planned, recorded) in plan.sessions.iter().zip(log.sessions(plan)) {
            for (pair, baseline, candidate) in recorded.complete_pairs(planned.pairs.len() as u32) {
                let images = [baseline, candidate].map(|attempt| attempt.outcome.image());
                pairs.insert((planned.index, pair), (&planned.candidate, baseline.request, images));
            }
        }
        let wrong = |session, pair, candidate: &str, problem| {
            Err(QualityError::Pair { pair, session, candidate: candidate.to_owned(), problem })
        };
        let mut judged = BTreeSet::new();
        for record in &self.records {
            let (key, images) =
                ((record.session, record.pair), [record.baseline_image, record.candidate_image].map(Some));
            if pairs.get(&key) != Some(&(&record.candidate, record.request, images)) {
                return wrong(
                    record.session,
                    record.pair,
                    &record.candidate,
                    "is not as the samples hold it",
                );
            }
            if !judged.insert(key) {
                return wrong(record.session, record.pair, &record.candidate, "is judged twice");
            }
        }
        match pairs.iter().find(|(key, _)| !judged.contains(key)) {
            Some(((session, pair), (candidate, ..))) => {
                wrong(*session, *pair, candidate, "is not judged, though both sides gave a picture")
            }
            None => Ok(()),
        }
    }

    /// The file's text: equal logs give equal bytes.
    ///
    /// # Errors
    /// None in practice: our records always fit JSON.
    pub fn to_jsonl(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.header)? + "\n";
        for record in &self.records {
            text.push_str(&serde_json::to_string(record)?);
            text.push('\n');
        }
        Ok(text)
    }
}
