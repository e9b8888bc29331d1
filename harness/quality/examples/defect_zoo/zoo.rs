//! `fixtures/defects/zoo.json`.

use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::metric::Gate;
use serde::Deserialize;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zoo {
    /// Pictures a specimen.
    pub(crate) prompts: usize,
    /// Level of the one-sided bounds.
    pub(crate) level: f64,
    /// What must be proven.
    pub(crate) gates: Vec<Gate>,
    /// What must be caught.
    pub(crate) defects: Vec<Specimen>,
    /// What must not.
    pub(crate) honest: Vec<Specimen>,
}

/// One candidate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Specimen {
    /// For people.
    pub(crate) name: String,
    /// How it differs from the baseline.
    pub(crate) make: Make,
    /// Why a defect may pass.
    pub(crate) why_tolerated: Option<String>,
}

/// How a candidate differs from the baseline.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Make {
    /// Other settings.
    Generate(Settings),
    /// Other weights.
    Weights(Change),
    /// The baseline's pictures in another order.
    Answers(Answers),
    /// The baseline's pictures with other pixels.
    Pixels(Pixels),
}

/// Settings; absent ones are the baseline's.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) seed_offset: u64,
    pub(crate) steps: Option<usize>,
    pub(crate) guidance_scale: Option<f64>,
    pub(crate) dtype: Option<Dtype>,
    pub(crate) threads: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// Noise of that share of each tensor's deviation.
    Noise { component: String, sigma: f32 },
    /// The smallest weights of each tensor set to zero.
    Prune { component: String, share: f64 },
    /// The first text encoder reads another vocabulary.
    SwapVocabulary,
    /// Stored int8 per channel.
    Int8,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answers {
    /// Each request gets its neighbour's picture.
    Shuffled,
    /// All get the first picture.
    First,
    /// Every fourth gets the picture of the request before.
    EveryFourthCached,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Pixels {
    Blur { sigma: f32 },
    Jpeg { quality: u8 },
    Halved {},
    Tint { red: i16, green: i16, blue: i16 },
    Mirrored {},
    OnePixel {},
    Watermark { amplitude: i16 },
}
