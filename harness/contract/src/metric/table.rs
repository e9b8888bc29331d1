//! The one table of metrics: what each is called, means and needs. How it is computed stands in
//! `edgemaxx-quality`, in a table with the same names; a test there compares the two.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A metric, as all that read, print or bound it know it.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// The name used in files.
    pub name: &'static str,
    /// The task whose answers it judges.
    pub task: &'static str,
    /// For people, in tables.
    pub title: &'static str,
    /// For people, before a value.
    pub short: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Decimals worth printing.
    pub digits: usize,
    /// The smallest and the largest value it can take.
    pub range: (f64, f64),
    /// Whether larger or smaller values mean more alike.
    pub direction: Direction,
    /// The models without which it is not computed.
    pub needs: &'static [Model],
    /// Each answer has a value of its own, and the metric is the candidate's minus the baseline's.
    pub of_each_side: bool,
    /// It is also taken through held-back views of the answers, as a metric of its own: the worst over the views.
    pub held_back: bool,
    /// What answers with the same bits count as, where the metric has no value of them.
    pub of_identical: Option<f64>,
    /// It is known only of the pairs about which both sides were asked untimed, and of those all together.
    pub scored: bool,
}

/// What most metrics are like; an entry names what differs.
const PLAIN: Entry = Entry {
    name: "",
    task: "picture",
    title: "",
    short: "",
    unit: Unit::None,
    digits: 3,
    range: (-1.0, 1.0),
    direction: Direction::HigherIsBetter,
    needs: &[],
    of_each_side: false,
    held_back: false,
    of_identical: None,
    scored: false,
};

/// All metrics, in the order of reports. The first of a task needs no model: it says how alike two answers are
/// where nothing else can. The last that is a similarity is what a score reads where its contest says nothing.
pub const TABLE: &[Entry] = &[
    // Structural similarity of the grey pictures.
    Entry { name: "ssim_gray", title: "SSIM", short: "SSIM", held_back: true, ..PLAIN },
    // Peak signal-to-noise ratio: infinite, hence without a value, of identical pictures. They count as 120 dB: above
    // any that differing 8-bit pictures reach (113 dB for one value of a 1024² picture off by one), and finite.
    Entry {
        name: "psnr_db",
        title: "PSNR",
        short: "PSNR",
        unit: Unit::Decibels,
        digits: 1,
        range: (0.0, f64::INFINITY),
        of_identical: Some(120.0),
        ..PLAIN
    },
    // Hamming distance of perceptual hashes.
    Entry {
        name: "phash_distance",
        title: "perceptual hash distance",
        short: "hash distance",
        unit: Unit::Bits,
        digits: 1,
        range: (0.0, 64.0),
        direction: Direction::LowerIsBetter,
        ..PLAIN
    },
    // Cosine of CLIP image embeddings.
    Entry {
        name: "clip_image_cosine",
        title: "CLIP image similarity",
        short: "CLIP",
        needs: &[Model::Clip],
        held_back: true,
        ..PLAIN
    },
    // CLIP text–image cosine.
    Entry {
        name: "clip_text_difference",
        title: "CLIP text score, change",
        short: "CLIP text",
        digits: 4,
        range: (-2.0, 2.0),
        needs: &[Model::Clip],
        of_each_side: true,
        ..PLAIN
    },
    // Learned perceptual distance.
    Entry {
        name: "lpips",
        title: "LPIPS distance",
        short: "LPIPS",
        range: (0.0, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        needs: &[Model::Lpips],
        ..PLAIN
    },
    // The similarity of the original subnet in 2025: 0.35·CLIP image cosine + 0.65·SSIM.
    Entry {
        name: "wombo_2025",
        title: "0.35 CLIP + 0.65 SSIM",
        short: "mix",
        needs: &[Model::Clip],
        ..PLAIN
    },
    // The part of the longer text that stands before the first difference.
    Entry {
        name: "same_start",
        title: "same from the start",
        short: "same start",
        range: (0.0, 1.0),
        ..OF_TEXTS
    },
    // Of the tokens of a text, those that the baseline's model would have chosen in their places.
    Entry { name: "agreement_change", title: "agreement, change", short: "agreement", ..BY_BASELINE },
    // The same of the first token alone: a guess that is sent ahead to look fast.
    Entry {
        name: "first_agreement_change",
        title: "agreement of the first token, change",
        short: "first token",
        ..BY_BASELINE
    },
    // By how much the model prefers another token to the one that stands there, at most 8, on average.
    Entry {
        name: "margin_change",
        title: "margin lost, change",
        short: "margin",
        range: (-8.0, 8.0),
        direction: Direction::LowerIsBetter,
        ..BY_BASELINE
    },
    // By how much less likely a text is to the model, for each token.
    Entry {
        name: "nll_change",
        title: "improbability per token, change",
        short: "improbability",
        range: (f64::NEG_INFINITY, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        ..BY_BASELINE
    },
    // By how much more likely: what repeats itself is.
    Entry {
        name: "nll_fall",
        title: "improbability per token, fall",
        short: "fall of improbability",
        range: (f64::NEG_INFINITY, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        of_each_side: false,
        ..BY_BASELINE
    },
    // The least divergence of Kullback and Leibler from the model to what an engine says of the baseline's text, in nats.
    Entry {
        name: "kl_change",
        title: "KL divergence per token, change",
        short: "KL divergence",
        digits: 4,
        range: (f64::NEG_INFINITY, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        scored: true,
        ..BY_BASELINE
    },
    // Of the tokens that an engine chose where it is scored, those that its own scores put first.
    Entry {
        name: "own_choice_change",
        title: "tokens that its own scores put first, change",
        short: "own choice",
        of_each_side: true,
        scored: true,
        ..OF_TEXTS
    },
    // Of the runs of four tokens, those that stood in the text before (seq-rep-4, Welleck et al. 2020).
    Entry {
        name: "repetition_change",
        title: "repetition, change",
        short: "repetition",
        direction: Direction::LowerIsBetter,
        of_each_side: true,
        ..OF_TEXTS
    },
    // By how much shorter, and longer: the logarithm of the ratio of tokens.
    Entry {
        name: "shorter",
        title: "length, fall of its logarithm",
        short: "shorter",
        range: (f64::NEG_INFINITY, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        ..OF_TEXTS
    },
    Entry {
        name: "longer",
        title: "length, rise of its logarithm",
        short: "longer",
        range: (f64::NEG_INFINITY, f64::INFINITY),
        direction: Direction::LowerIsBetter,
        ..OF_TEXTS
    },
    // The share that is missing beside the baseline's own text: 1 where the two agree alike.
    Entry {
        name: "agreement",
        title: "agreement beside the baseline's own",
        short: "agrees",
        range: (0.0, 1.0),
        of_each_side: false,
        ..BY_BASELINE
    },
];

/// What most metrics of texts are like.
const OF_TEXTS: Entry = Entry { task: "text", ..PLAIN };

/// What the baseline's model says of each text, read as if it had chosen its tokens itself.
const BY_BASELINE: Entry = Entry { needs: &[Model::Baseline], of_each_side: true, ..OF_TEXTS };

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A pure number.
    None,
    /// Decibels.
    Decibels,
    /// Bits.
    Bits,
}

impl Unit {
    /// The unit's symbol, as beside an estimate; empty for a pure number.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Decibels => "dB",
            Self::Bits => "bit",
        }
    }

    /// The unit in words, as after a value; empty for a pure number.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Decibels => "dB",
            Self::Bits => "bits",
        }
    }

    /// Decimals of a single pair's value, of which `digits` are worth printing in a mean.
    pub fn digits_of_one(self, digits: usize) -> usize {
        if self == Self::Bits { 0 } else { digits }
    }
}

/// Which values mean more alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Larger ones.
    HigherIsBetter,
    /// Smaller ones.
    LowerIsBetter,
}

impl Direction {
    /// The worst of some values; `None` of none.
    pub fn worst(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        values.reduce(match self {
            Self::HigherIsBetter => f64::min,
            Self::LowerIsBetter => f64::max,
        })
    }
}

/// A model that judges answers; the contest names its folder under `quality.NAME`, that of the baseline as its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Pictures and texts as vectors in one space.
    Clip,
    /// Perceptual distance, learned.
    Lpips,
    /// The contest's own: the checkpoint of its baseline.
    Baseline,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clip, Self::Lpips, Self::Baseline];

    /// The key under `quality` in a contest, and the option of `edgemaxx quality`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Lpips => "lpips",
            Self::Baseline => "baseline",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Clip => "CLIP",
            Self::Lpips => "LPIPS",
            Self::Baseline => "baseline's model",
        }
    }

    /// The title with its article.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Clip => "a CLIP",
            Self::Lpips => "an LPIPS",
            Self::Baseline => "the baseline's",
        }
    }

    /// What its folder holds.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Clip => "a folder with a CLIP in the transformers layout",
            Self::Lpips => "a folder that scripts/convert-lpips.py wrote",
            Self::Baseline => "the baseline's checkpoint",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
