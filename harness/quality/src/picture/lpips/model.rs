//! The backbones, the heads and the distance.

use std::path::Path;

use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device, Error, read_json};
use edgemaxx_picture::Picture;
use serde::Deserialize;

use super::layers::{Convolution, Map, Window, max_pool};
use crate::error::{QualityError, Result};
use crate::picture::pixelwise::same_size;

const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// `config.json` of an LPIPS folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    net: Net,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Net {
    Alex,
    Vgg,
}

/// A step of a backbone; features are tapped where `tap` is set.
enum Step {
    Pool(Window),
    Convolve { layer: Convolution, tap: bool },
}

/// The learned perceptual distance.
pub struct Lpips {
    net: Net,
    steps: Vec<Step>,
    /// One weight for each channel of each tap.
    heads: Vec<Vec<f32>>,
}

impl Lpips {
    /// Reads a folder with `config.json` (`{"net": "alex" | "vgg", "version": "0.1"}`) and
    /// `model.safetensors` (torchvision's `features.…`, heads as `lin0.weight` … `lin4.weight`).
    ///
    /// # Errors
    /// Names the file, field or tensor that is missing or does not fit.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let settings = |problem| QualityError::Settings { path: path.clone(), problem };
        let wire: Wire = read_json(&path)
            .map_err(|error| QualityError::of_settings(&path, "not an LPIPS folder", error))?;
        if wire.version != "0.1" {
            return Err(settings(format!("field `version`: found `{}`, expected `0.1`", wire.version)));
        }
        let read = || -> std::result::Result<Self, Error> {
            let w = Weights::open_dir(dir, "model", DType::F32, &Device::Cpu)?;
            let (steps, channels) = match wire.net {
                Net::Alex => (alex(&w)?, [64, 192, 384, 256, 256]),
                Net::Vgg => (vgg(&w)?, [64, 128, 256, 512, 512]),
            };
            let head = |(i, c): (usize, &usize)| w.values(&[*c], &format!("lin{i}.weight"));
            let heads = channels.iter().enumerate().map(head).collect::<std::result::Result<_, _>>()?;
            Ok(Self { net: wire.net, steps, heads })
        };
        read().map_err(|e| QualityError::Lpips(e.to_string()))
    }

    /// Distance of two pictures, 0 for equal ones.
    ///
    /// # Errors
    /// When the sizes differ or a picture is too small for the backbone.
    pub fn distance(&self, a: &Picture, b: &Picture) -> Result<f64> {
        same_size(a, b)?;
        let needed = match self.net {
            Net::Alex => 31,
            Net::Vgg => 16,
        };
        if a.width().min(a.height()) < needed {
            let (width, height) = (a.width(), a.height());
            return Err(QualityError::TooSmall { metric: "LPIPS", needed, width, height });
        }
        let features = |p| self.features(p).map_err(|e| QualityError::Lpips(e.to_string()));
        let (a, b) = (features(a)?, features(b)?);
        Ok(a.iter().zip(&b).zip(&self.heads).map(|((a, b), head)| weighted(a, b, head)).sum())
    }

    /// The tapped maps, every pixel's vector scaled to length 1.
    fn features(&self, picture: &Picture) -> std::result::Result<Vec<Map>, Error> {
        let value = |(i, v): (usize, &u8)| (f32::from(*v) / 127.5 - 1.0 - SHIFT[i % 3]) / SCALE[i % 3];
        let mut x = Map {
            height: picture.height() as usize,
            width: picture.width() as usize,
            channels: 3,
            values: picture.rgb().iter().enumerate().map(value).collect(),
        };
        let mut taps = Vec::new();
        for step in &self.steps {
            x = match step {
                Step::Pool(window) => max_pool(&x, *window),
                Step::Convolve { layer, .. } => layer.forward(x)?,
            };
            if matches!(step, Step::Convolve { tap: true, .. }) {
                let mut values = x.values.clone();
                for pixel in values.chunks_exact_mut(x.channels) {
                    let length = pixel.iter().map(|v| v * v).sum::<f32>().sqrt() + 1e-10;
                    pixel.iter_mut().for_each(|v| *v /= length);
                }
                taps.push(Map { values, ..x });
            }
        }
        Ok(taps)
    }
}

/// Mean over pixels of the weighted squared differences.
fn weighted(a: &Map, b: &Map, head: &[f32]) -> f64 {
    let pixels = a.values.chunks_exact(head.len()).zip(b.values.chunks_exact(head.len()));
    let sum: f64 = pixels
        .map(|(a, b)| {
            let terms = a.iter().zip(b).zip(head).map(|((a, b), h)| h * (a - b) * (a - b));
            f64::from(terms.sum::<f32>())
        })
        .sum();
    sum / (a.height * a.width) as f64
}

/// torchvision's `alexnet().features`, tapped after each of its five ReLUs.
fn alex(w: &Weights) -> std::result::Result<Vec<Step>, Error> {
    let pool = || Step::Pool(Window { side: 3, stride: 2, padding: 0 });
    let layer = |index, from, to, side, stride, padding| -> std::result::Result<Step, Error> {
        let layer = Convolution::load(w, index, from, to, Window { side, stride, padding })?;
        Ok(Step::Convolve { layer, tap: true })
    };
    Ok(vec![
        layer(0, 3, 64, 11, 4, 2)?,
        pool(),
        layer(3, 64, 192, 5, 1, 2)?,
        pool(),
        layer(6, 192, 384, 3, 1, 1)?,
        layer(8, 384, 256, 3, 1, 1)?,
        layer(10, 256, 256, 3, 1, 1)?,
    ])
}

/// torchvision's `vgg16().features`, tapped after the last ReLU of each of its five blocks.
fn vgg(w: &Weights) -> std::result::Result<Vec<Step>, Error> {
    let (mut steps, mut index, mut from) = (Vec::new(), 0, 3);
    for (block, (layers, to)) in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)].into_iter().enumerate() {
        if block > 0 {
            steps.push(Step::Pool(Window { side: 2, stride: 2, padding: 0 }));
            index += 1;
        }
        for i in 1..=layers {
            let window = Window { side: 3, stride: 1, padding: 1 };
            steps.push(Step::Convolve {
                layer: Convolution::load(w, index, from, to, window)?,
                tap: i == layers,
            });
            (index, from) = (index + 2, to);
        }
    }
    Ok(steps)
}
