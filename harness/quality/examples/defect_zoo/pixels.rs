//! Defects made of finished pictures.

use edgemaxx_picture::Picture;
use edgemaxx_quality::Result;
use edgemaxx_quality::picture::resample::{Filter, resize};
use edgemaxx_quality::picture::views::jpeg;

use crate::zoo::Pixels;

/// The `index`-th picture with that defect.
pub(crate) fn apply(p: &Picture, defect: &Pixels, index: usize) -> Result<Picture> {
    let (w, h) = (p.width(), p.height());
    let mapped = |f: &dyn Fn(usize, u8) -> i16| -> Result<Picture> {
        let rgb = p.rgb().iter().enumerate().map(|(i, v)| f(i, *v).clamp(0, 255) as u8).collect();
        Ok(Picture::from_rgb(w, h, rgb)?)
    };
    match *defect {
        Pixels::Blur { sigma } => blur(p, sigma),
        Pixels::Jpeg { quality } => jpeg(p, quality),
        Pixels::Halved {} => resize(&resize(p, w / 2, h / 2, Filter::Bilinear)?, w, h, Filter::Bilinear),
        Pixels::Tint { red, green, blue } => mapped(&|i, v| i16::from(v) + [red, green, blue][i % 3]),
        Pixels::Mirrored {} => {
            let row = w as usize * 3;
            let rgb = p.rgb().chunks(row).flat_map(|r| r.rchunks(3).flatten().copied()).collect();
            Ok(Picture::from_rgb(w, h, rgb)?)
        }
        Pixels::OnePixel {} => {
            let at = (index * 977 % (w * h) as usize) * 3;
            mapped(&|i, v| if (at..at + 3).contains(&i) { 255 - i16::from(v) } else { i16::from(v) })
        }
        Pixels::Watermark { amplitude } => {
            let sign =
                |i: usize| if (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0 { 1 } else { -1 };
            mapped(&|i, v| i16::from(v) + amplitude * sign(i + 1))
        }
    }
}

/// Gaussian blur, edges repeated.
fn blur(p: &Picture, sigma: f32) -> Result<Picture> {
    let radius = (3.0 * sigma).ceil() as i64;
    let weights: Vec<f32> = (-radius..=radius).map(|x| (-0.5 * (x as f32 / sigma).powi(2)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let (w, h) = (i64::from(p.width()), i64::from(p.height()));
    let pass = |from: &[f32], dx: i64, dy: i64| -> Vec<f32> {
        let at =
            |x: i64, y: i64, c: i64| from[((y.clamp(0, h - 1) * w + x.clamp(0, w - 1)) * 3 + c) as usize];
        let value = |i: i64| {
            let (x, y, c) = (i / 3 % w, i / 3 / w, i % 3);
            let sum: f32 = (-radius..=radius)
                .zip(&weights)
                .map(|(k, weight)| weight * at(x + k * dx, y + k * dy, c))
                .sum();
            sum / total
        };
        (0..w * h * 3).map(value).collect()
    };
    let values: Vec<f32> = p.rgb().iter().map(|v| f32::from(*v)).collect();
    let values = pass(&pass(&values, 1, 0), 0, 1);
    let rgb = values.iter().map(|v| v.round() as u8).collect();
    Ok(Picture::from_rgb(p.width(), p.height(), rgb)?)
}
