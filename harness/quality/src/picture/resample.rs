//! Resizing exactly as Pillow 13's `Image.resize` for 8-bit RGB: separable antialiased filters whose
//! support grows with the reduction, coefficients in fixed point with 22 fractional bits, each pass
//! rounded to 8 bits (Pillow's `Resample.c`). The horizontal pass comes first, as ever, unless the
//! height loses more than twice as many pixels as the width: there Pillow 13 swaps the passes, which
//! moves single values by 1/255 against Pillow 12.

use std::borrow::Cow;

use edgemaxx_picture::Picture;
use rayon::prelude::*;

use crate::error::Result;

const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Pillow's resampling filters, by the numbers that `preprocessor_config.json` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `LANCZOS`, 1.
    Lanczos,
    /// `BILINEAR`, 2.
    Bilinear,
    /// `BICUBIC`, 3 (a = −½).
    Bicubic,
}

impl Filter {
    /// The filter of Pillow's number, where it is supported.
    pub fn from_pillow(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// The source positions of one output position: the first one and a coefficient for each.
struct Taps {
    first: usize,
    coefficients: Vec<i32>,
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    (0..to)
        .map(|i| {
            let center = (i as f64 + 0.5) * scale;
            // Truncation towards zero, then clamping, as in C.
            let first = ((center - support + 0.5) as i64).max(0) as usize;
            let end = ((center + support + 0.5) as i64).min(from as i64) as usize;
            let weights: Vec<f64> =
                (first..end).map(|x| filter.at((x as f64 - center + 0.5) * (1.0 / stretch))).collect();
            let sum: f64 = weights.iter().sum();
            let one = f64::from(1u32 << PRECISION_BITS);
            let fixed = |w: &f64| {
                let w = if sum == 0.0 { *w } else { *w / sum };
                (w * one + if w < 0.0 { -0.5 } else { 0.5 }) as i32
            };
            Taps { first, coefficients: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// Resizes to `width`×`height` pixels; equal to `Image.resize((width, height), filter)`.
///
/// # Errors
/// When the new size is empty or above the limits of [`Picture`].
pub fn resize(picture: &Picture, width: u32, height: u32, filter: Filter) -> Result<Picture> {
    let (from_w, from_h) = (picture.width() as usize, picture.height() as usize);
    let (to_w, to_h) = (width as usize, height as usize);
    // Checks the new size before anything of that size is allocated.
    Picture::check_size("resized picture", width, height)?;
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    let vertical_first = to_h < from_h && lost(from_h, to_h) > 2 * lost(from_w, to_w);
    let mut rgb = Cow::Borrowed(picture.rgb());
    if vertical_first {
        rgb = resize_height(rgb, from_w, from_h, to_h, filter);
        rgb = resize_width(rgb, from_w, to_w, to_h, filter);
    } else {
        rgb = resize_width(rgb, from_w, to_w, from_h, filter);
        rgb = resize_height(rgb, to_w, from_h, to_h, filter);
    }
    Ok(Picture::from_rgb(width, height, rgb.into_owned())?)
}

fn resize_width(rgb: Cow<'_, [u8]>, from: usize, to: usize, height: usize, filter: Filter) -> Cow<'_, [u8]> {
    if from == to {
        return rgb;
    }
    let taps = taps(from, to, filter);
    let mut out = vec![0; to * height * 3];
    out.par_chunks_mut(to * 3)
        .zip(rgb.par_chunks(from * 3))
        .for_each(|(out, row)| horizontal(row, out, &taps));
    out.into()
}

fn resize_height(rgb: Cow<'_, [u8]>, width: usize, from: usize, to: usize, filter: Filter) -> Cow<'_, [u8]> {
    if from == to {
        return rgb;
    }
    let taps = taps(from, to, filter);
    let mut out = vec![0; width * to * 3];
    out.par_chunks_mut(width * 3).zip(taps.par_iter()).for_each(|(out, taps)| vertical(&rgb, out, taps));
    out.into()
}

fn horizontal(row: &[u8], out: &mut [u8], taps: &[Taps]) {
    for (pixel, taps) in out.chunks_exact_mut(3).zip(taps) {
        let mut sums = [1i32 << (PRECISION_BITS - 1); 3];
        for (source, &k) in row[taps.first * 3..].chunks_exact(3).zip(&taps.coefficients) {
            for (sum, &v) in sums.iter_mut().zip(source) {
                *sum = sum.wrapping_add(i32::from(v).wrapping_mul(k));
            }
        }
        pixel.copy_from_slice(&sums.map(clip));
    }
}

fn vertical(rgb: &[u8], out: &mut [u8], taps: &Taps) {
    let mut sums = vec![1i32 << (PRECISION_BITS - 1); out.len()];
    let rows = rgb.chunks_exact(out.len()).skip(taps.first);
    for (row, &k) in rows.zip(&taps.coefficients) {
        for (sum, &v) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add(i32::from(v).wrapping_mul(k));
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = clip(sum);
    }
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
