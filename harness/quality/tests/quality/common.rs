//! Pictures from integer formulas, repeated in `golden/metrics.py`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use edgemaxx_contract::metric::{Metric, Model};
use edgemaxx_contract::quality::Judgement;
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::PictureJudge;
use image::{DynamicImage, ImageFormat};

fn splitmix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Noise of the value with that index (row-major, channels last).
pub(crate) fn noise(index: usize, seed: u64) -> u64 {
    splitmix((index as u64).wrapping_add(seed << 32))
}

pub(crate) fn picture(width: u32, height: u32, seed: u64) -> Picture {
    let mut rgb = Vec::new();
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            for c in 0..3 {
                let t = (x * (3 + seed % 5) + y * (1 + seed % 3) * (c + 1) + 40 * c) % 512;
                let v = if t < 256 { t } else { 511 - t };
                rgb.push(((v * 7 + (noise(rgb.len(), seed) & 255)) / 8) as u8);
            }
        }
    }
    Picture::from_rgb(width, height, rgb).unwrap()
}

pub(crate) fn changed(a: &Picture, kind: &str, amount: i64, seed: u64) -> Picture {
    let width = a.width() as usize;
    let rgb = a.rgb();
    let other = (kind == "other").then(|| picture(a.width(), a.height(), seed + amount as u64));
    let value = |i: usize| -> i64 {
        let v = i64::from(rgb[i]);
        match kind {
            "noise" => v + (noise(i, seed + 1000) % (2 * amount as u64 + 1)) as i64 - amount,
            "shift" => {
                let (row, x, c) = (i / (3 * width), i / 3 % width, i % 3);
                i64::from(rgb[(row * width + (x + amount as usize) % width) * 3 + c])
            }
            "dim" => v * (255 - amount) / 255,
            "flat" => amount,
            "other" => i64::from(other.as_ref().unwrap().rgb()[i]),
            "same" => v,
            other => panic!("unknown kind {other}"),
        }
    };
    let out = (0..rgb.len()).map(|i| value(i).clamp(0, 255) as u8).collect();
    Picture::from_rgb(a.width(), a.height(), out).unwrap()
}

/// A metric's value.
pub(crate) fn value(found: &Judgement, name: &str) -> Option<f64> {
    found.values.get(&Metric::named(name).unwrap()).copied()
}

/// CLIP's cosine of the prompt and each picture.
pub(crate) fn text_scores(found: &Judgement) -> [Option<f64>; 2] {
    let sides = found.sides.get(&Metric::named("clip_text_difference").unwrap());
    [sides.map(|sides| sides.baseline), sides.map(|sides| sides.candidate)]
}

/// A judge with the CLIP of that folder.
pub(crate) fn with_clip(folder: &Path) -> PictureJudge {
    PictureJudge::load(&BTreeMap::from([(Model::Clip, folder.to_owned())])).unwrap()
}

pub(crate) fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The picture after a trip through an opaque RGBA or a grey PNG.
pub(crate) fn through_png(a: Picture, form: &str) -> Picture {
    let (w, h) = (a.width(), a.height());
    let image = match form {
        "rgb" => return a,
        "rgba" => {
            let rgba = a.rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]);
            DynamicImage::ImageRgba8(image::RgbaImage::from_raw(w, h, rgba.collect()).unwrap())
        }
        "grey" => {
            let green = a.rgb().chunks(3).map(|p| p[1]).collect();
            DynamicImage::ImageLuma8(image::GrayImage::from_raw(w, h, green).unwrap())
        }
        other => panic!("unknown form {other}"),
    };
    Picture::decode(&png(&image), form).unwrap()
}
