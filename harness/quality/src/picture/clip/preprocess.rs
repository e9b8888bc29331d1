//! What `preprocessor_config.json` asks for, done as transformers' Pillow-based CLIP processor does:
//! resize, centre crop, rescale, normalise.

use std::path::Path;

use edgemaxx_candle::read_json;
use edgemaxx_picture::Picture;
use serde::Deserialize;

use crate::error::{QualityError, Result};
use crate::picture::resample::{Filter, resize};

/// A side that no model asks for; keeps a hostile file from allocating without bound.
const MAX_MODEL_SIDE: u64 = 4096;

/// `preprocessor_config.json` as written; unknown keys are other processors' business.
#[derive(Deserialize)]
struct Wire {
    #[serde(default = "yes")]
    do_resize: bool,
    #[serde(default = "yes")]
    do_center_crop: bool,
    #[serde(default = "yes")]
    do_rescale: bool,
    #[serde(default = "yes")]
    do_normalize: bool,
    size: Option<WireSize>,
    crop_size: Option<WireSize>,
    resample: Option<u64>,
    rescale_factor: Option<f64>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
}

/// A number (old files) or an object (new files).
#[derive(Deserialize)]
#[serde(untagged)]
enum WireSize {
    Edge(u64),
    Shortest { shortest_edge: u64 },
    Exact { height: u64, width: u64 },
}

fn yes() -> bool {
    true
}

/// Size after `resize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    ShortestEdge(u32),
    Exact { width: u32, height: u32 },
}

/// How a picture becomes a model's input.
#[derive(Clone, Debug)]
pub struct Preprocess {
    resize: Option<(Target, Filter)>,
    crop: Option<(u32, u32)>,
    rescale: Option<f64>,
    normalize: Option<([f64; 3], [f64; 3])>,
}

impl Preprocess {
    /// Reads `preprocessor_config.json`.
    ///
    /// # Errors
    /// When the file is missing, no JSON, or asks for something that CLIP's processor cannot do.
    pub fn read(path: &Path) -> Result<Self> {
        let settings = |problem: String| QualityError::Settings { path: path.to_owned(), problem };
        let wire: Wire = read_json(path).map_err(|error| {
            QualityError::of_settings(path, "not a CLIP image processor's settings", error)
        })?;
        Self::check(wire).map_err(settings)
    }

    fn check(wire: Wire) -> std::result::Result<Self, String> {
        let side = |field: &str, value: u64| {
            if (1..=MAX_MODEL_SIDE).contains(&value) {
                return Ok(value as u32);
            }
            Err(format!("field `{field}`: found {value}, expected 1 to {MAX_MODEL_SIDE} pixels"))
        };
        let target = match wire.size.unwrap_or(WireSize::Edge(224)) {
            WireSize::Edge(n) | WireSize::Shortest { shortest_edge: n } => {
                Target::ShortestEdge(side("size", n)?)
            }
            WireSize::Exact { height, width } => {
                Target::Exact { width: side("size.width", width)?, height: side("size.height", height)? }
            }
        };
        let crop = match wire.crop_size.unwrap_or(WireSize::Edge(224)) {
            WireSize::Edge(n) | WireSize::Shortest { shortest_edge: n } => (n, n),
            WireSize::Exact { height, width } => (width, height),
        };
        let number = wire.resample.unwrap_or(3);
        let filter = Filter::from_pillow(number).ok_or_else(|| {
            format!("field `resample`: found {number}, expected 2 (bilinear) or 3 (bicubic)")
        })?;
        let deviation = wire.image_std.unwrap_or([0.268_629_54, 0.261_302_58, 0.275_777_11]);
        let mean = wire.image_mean.unwrap_or([0.481_454_66, 0.457_827_5, 0.408_210_73]);
        if deviation.iter().any(|s| !s.is_finite() || *s <= 0.0) || mean.iter().any(|m| !m.is_finite()) {
            return Err(
                "fields `image_mean`, `image_std`: expected finite numbers, positive deviations".into()
            );
        }
        Ok(Self {
            resize: wire.do_resize.then_some((target, filter)),
            crop: if wire.do_center_crop {
                Some((side("crop_size", crop.0)?, side("crop_size", crop.1)?))
            } else {
                None
            },
            rescale: wire.do_rescale.then(|| wire.rescale_factor.unwrap_or(1.0 / 255.0)),
            normalize: wire.do_normalize.then_some((mean, deviation)),
        })
    }

    /// The model's input `[3, side, side]`, channels first.
    ///
    /// # Errors
    /// When the result is not `side`×`side`: the settings do not belong to the model.
    pub fn apply(&self, picture: &Picture, side: u32) -> Result<Vec<f32>> {
        let resized = match self.resize {
            Some((target, filter)) => {
                let (width, height) = target.size(picture);
                Some(resize(picture, width, height, filter)?)
            }
            None => None,
        };
        let picture = resized.as_ref().unwrap_or(picture);
        let (width, height) = self.crop.unwrap_or((picture.width(), picture.height()));
        if (width, height) != (side, side) {
            return Err(QualityError::Clip(format!(
                "preprocessor_config.json yields {width}x{height} pixels, the model takes {side}x{side}"
            )));
        }
        Ok(self.tensor(picture, width as usize, height as usize))
    }

    /// Crops about the centre (zeros where the picture is smaller) and converts to numbers.
    fn tensor(&self, picture: &Picture, width: usize, height: usize) -> Vec<f32> {
        let (from_w, from_h) = (picture.width() as usize, picture.height() as usize);
        let (left, top) = (offset(from_w, width), offset(from_h, height));
        let tables: [Vec<f32>; 3] = std::array::from_fn(|c| (0..=255).map(|v| self.value(v, c)).collect());
        let mut out = Vec::with_capacity(3 * width * height);
        for (c, table) in tables.iter().enumerate() {
            for y in 0..height {
                for x in 0..width {
                    let (sx, sy) = (x as i64 + left, y as i64 + top);
                    let inside = (0..from_w as i64).contains(&sx) && (0..from_h as i64).contains(&sy);
                    let v =
                        if inside { picture.rgb()[(sy as usize * from_w + sx as usize) * 3 + c] } else { 0 };
                    out.push(table[usize::from(v)]);
                }
            }
        }
        out
    }

    /// Rescales in f64, stores f32, normalises in f32: the order of transformers.
    fn value(&self, v: u8, channel: usize) -> f32 {
        let v = match self.rescale {
            Some(factor) => (f64::from(v) * factor) as f32,
            None => f32::from(v),
        };
        match self.normalize {
            Some((mean, deviation)) => (v - mean[channel] as f32) / deviation[channel] as f32,
            None => v,
        }
    }
}

impl Target {
    fn size(self, picture: &Picture) -> (u32, u32) {
        let (w, h) = (u64::from(picture.width()), u64::from(picture.height()));
        match self {
            Self::Exact { width, height } => (width, height),
            Self::ShortestEdge(edge) => {
                // int(size * long / short): a division of exact integers, truncated.
                let long =
                    |long: u64, short: u64| u32::try_from(u64::from(edge) * long / short).unwrap_or(u32::MAX);
                if w <= h { (edge, long(h, w)) } else { (long(w, h), edge) }
            }
        }
    }
}

/// Where the crop begins; negative when the picture is smaller. Transformers first pads by
/// `ceil(missing / 2)` before the picture, hence the picture starts there.
fn offset(from: usize, to: usize) -> i64 {
    let (from, to) = (from as i64, to as i64);
    (from - to).div_euclid(2)
}
