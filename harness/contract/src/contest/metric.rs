//! The numbers pictures are judged by, and the gates on them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A bound that must be proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What is bounded.
    pub metric: Metric,
    /// Mean or quantile over pairs.
    pub statistic: Statistic,
    /// The smallest (for [`Metric::higher_is_better`]) or largest value accepted.
    pub threshold: f64,
    /// Why this value.
    pub reason: String,
}

/// What a gate bounds over the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The mean.
    Mean,
    /// A quantile, in (0, 1).
    Quantile(f64),
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Quantile(q) => write!(f, "{}% quantile", q * 100.0),
        }
    }
}

/// A number computed from a picture pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Structural similarity of the grey pictures, −1…1.
    SsimGray,
    /// Peak signal-to-noise ratio in dB.
    PsnrDb,
    /// Hamming distance of perceptual hashes in bits.
    PhashDistance,
    /// Cosine of CLIP image embeddings, −1…1.
    ClipImageCosine,
    /// CLIP text–image cosine of the candidate minus the baseline's.
    ClipTextDifference,
    /// Learned perceptual distance.
    Lpips,
    /// 0.35·CLIP image cosine + 0.65·SSIM.
    #[serde(alias = "wombo_2025")]
    Wombo2025,
    /// The smallest [`Self::SsimGray`] over the held-back views: crops, mirroring, JPEG.
    HeldBackSsimGray,
    /// The smallest [`Self::ClipImageCosine`] over the held-back views.
    HeldBackClipImageCosine,
}

impl Metric {
    /// All metrics, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::SsimGray,
        Self::PsnrDb,
        Self::PhashDistance,
        Self::ClipImageCosine,
        Self::ClipTextDifference,
        Self::Lpips,
        Self::Wombo2025,
        Self::HeldBackSsimGray,
        Self::HeldBackClipImageCosine,
    ];

    /// Whether a CLIP is needed to compute it.
    pub fn needs_clip(self) -> bool {
        matches!(
            self,
            Self::ClipImageCosine
                | Self::ClipTextDifference
                | Self::Wombo2025
                | Self::HeldBackClipImageCosine
        )
    }

    /// Whether it is computed through held-back views.
    pub fn is_held_back(self) -> bool {
        matches!(self, Self::HeldBackSsimGray | Self::HeldBackClipImageCosine)
    }

    /// Whether larger values mean more alike.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::PhashDistance | Self::Lpips)
    }

    /// The smallest and the largest value it can take.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::SsimGray
            | Self::ClipImageCosine
            | Self::Wombo2025
            | Self::HeldBackSsimGray
            | Self::HeldBackClipImageCosine => (-1.0, 1.0),
            Self::ClipTextDifference => (-2.0, 2.0),
            Self::PhashDistance => (0.0, 64.0),
            Self::PsnrDb | Self::Lpips => (0.0, f64::INFINITY),
        }
    }

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SsimGray => "ssim_gray",
            Self::PsnrDb => "psnr_db",
            Self::PhashDistance => "phash_distance",
            Self::ClipImageCosine => "clip_image_cosine",
            Self::ClipTextDifference => "clip_text_difference",
            Self::Lpips => "lpips",
            Self::Wombo2025 => "wombo_2025",
            Self::HeldBackSsimGray => "held_back_ssim_gray",
            Self::HeldBackClipImageCosine => "held_back_clip_image_cosine",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The similarity a score multiplies speed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimilarityFormula {
    /// 0.35·CLIP image cosine + 0.65·SSIM.
    #[serde(rename = "wombo-2025")]
    Wombo2025,
    /// CLIP image cosine alone.
    ClipImageCosine,
    /// SSIM alone.
    SsimGray,
}

impl SimilarityFormula {
    /// The metric it reads.
    pub fn metric(self) -> Metric {
        match self {
            Self::Wombo2025 => Metric::Wombo2025,
            Self::ClipImageCosine => Metric::ClipImageCosine,
            Self::SsimGray => Metric::SsimGray,
        }
    }
}
