//! Perceptual hash: image_hasher's median hash of a discrete cosine transform (pHash), 8×8 bits.
//!
//! The library spends nearly all of its time shrinking the picture, so it is given one that is already
//! as small as it wants: [`shrink`] gives the same values, hence the same bits.

use edgemaxx_picture::Picture;
use image::{GrayImage, Luma};
use image_hasher::{HashAlg, Hasher, HasherConfig};

use super::simd::widest;

/// Side of the picture that image_hasher transforms for a hash of 8×8 bits.
const DCT: usize = 16;

/// 64 bits that change little when a picture does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerceptualHash(u64);

impl PerceptualHash {
    /// Hashes a picture with `HashAlg::Median` after `preproc_dct`, size 8×8.
    pub fn of(picture: &Picture) -> Self {
        let grey = luma(picture.rgb());
        let small = shrink(&grey, picture.width() as usize, picture.height() as usize);
        let side = DCT as u32;
        let pixels = GrayImage::from_fn(side, side, |x, y| Luma([small[(y * side + x) as usize]]));
        let hash = hasher().hash_image(&pixels);
        Self(hash.as_bytes().iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }

    /// Number of differing bits, 0 to 64.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

fn hasher() -> Hasher<[u8; 8]> {
    HasherConfig::with_bytes_type().hash_alg(HashAlg::Median).hash_size(8, 8).preproc_dct().to_hasher()
}

/// Grey as image_hasher would make it of RGB: the image crate's `to_luma`, in one pass.
fn luma(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let weighted = |[r, g, b]: &[u8; 3]| 2126 * u32::from(*r) + 7152 * u32::from(*g) + 722 * u32::from(*b);
    pixels.iter().map(|pixel| (weighted(pixel) / 10_000) as u8).collect()
}

/// A grey picture of 16×16 pixels, as `image::imageops::resize` with `Lanczos3` makes it of one of
/// `width`×`height`: rows first, in single precision, every sum in the order of the pixels.
fn shrink(grey: &[u8], width: usize, height: usize) -> Vec<u8> {
    if (width, height) == (DCT, DCT) {
        return grey.to_vec();
    }
    // Turned over, so that both passes add whole rows: each pixel of the result is a sum of its own.
    let mut lines = vec![0.0; width * DCT];
    let mut row = vec![0.0; width];
    for (y, taps) in lanczos3(height).iter().enumerate() {
        row.fill(0.0);
        for (&weight, pixels) in taps.weights.iter().zip(grey.chunks_exact(width).skip(taps.first)) {
            add_scaled(&mut row, pixels, weight);
        }
        for (line, &value) in lines.chunks_exact_mut(DCT).zip(&row) {
            line[y] = value;
        }
    }
    let mut small = vec![0; DCT * DCT];
    for (x, taps) in lanczos3(width).iter().enumerate() {
        let mut column = [0.0f32; DCT];
        for (&weight, line) in taps.weights.iter().zip(lines.chunks_exact(DCT).skip(taps.first)) {
            for (sum, &value) in column.iter_mut().zip(line) {
                *sum += value * weight;
            }
        }
        for (y, sum) in column.iter().enumerate() {
            small[y * DCT + x] = sum.clamp(0.0, 255.0).round() as u8;
        }
    }
    small
}

widest! { fn add_scaled(sums: &mut [f32], pixels: &[u8], weight: f32) = add_scaled_body }

#[inline(always)]
fn add_scaled_body(sums: &mut [f32], pixels: &[u8], weight: f32) {
    for (sum, &pixel) in sums.iter_mut().zip(pixels) {
        *sum += f32::from(pixel) * weight;
    }
}

/// Which source pixels make one of the result, and by how much.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The image crate's Lanczos filter with three lobes, for sides of `from` pixels.
fn lanczos3(from: usize) -> Vec<Taps> {
    let ratio = from as f32 / DCT as f32;
    let stretch = ratio.max(1.0);
    let sinc =
        |t: f32| if t == 0.0 { 1.0 } else { (t * std::f32::consts::PI).sin() / (t * std::f32::consts::PI) };
    let kernel = |t: f32| if t.abs() < 3.0 { sinc(t) * sinc(t / 3.0) } else { 0.0 };
    let taps = |i: usize| {
        let center = (i as f32 + 0.5) * ratio;
        let first = ((center - 3.0 * stretch).floor().max(0.0) as usize).min(from - 1);
        let end = ((center + 3.0 * stretch).ceil() as usize).clamp(first + 1, from);
        let mut weights: Vec<f32> =
            (first..end).map(|x| kernel((x as f32 - (center - 0.5)) / stretch)).collect();
        let sum: f32 = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Taps { first, weights }
    };
    (0..DCT).map(taps).collect()
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    /// The shapes of pictures, and the odd ones: one pixel, a line, smaller than the result, its size.
    #[test]
    fn shrinks_as_the_image_crate() {
        for (width, height) in [
            (1024, 1024),
            (64, 64),
            (768, 1344),
            (333, 97),
            (1, 1),
            (1, 700),
            (5, 9),
            (16, 16),
            (16, 40),
            (17, 15),
        ] {
            let grey = noise((width * height) as usize);
            let picture = GrayImage::from_raw(width, height, grey.clone()).unwrap();
            let theirs = image::imageops::resize(&picture, 16, 16, image::imageops::FilterType::Lanczos3);
            assert_eq!(shrink(&grey, width as usize, height as usize), theirs.into_raw(), "{width}x{height}");
        }
    }

    #[test]
    fn bits_are_those_of_image_hasher() {
        let hasher = hasher();
        let flat = |value| move |bytes| vec![value; bytes];
        let ramp = |bytes| (0..bytes).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let pictures: [&dyn Fn(usize) -> Vec<u8>; 5] = [&noise, &ramp, &flat(0), &flat(77), &flat(255)];
        for (width, height) in [(512, 512), (300, 100), (7, 7), (64, 64), (16, 16)] {
            for (which, pixels) in pictures.iter().enumerate() {
                let rgb = pixels((width * height * 3) as usize);
                let theirs = hasher.hash_image(&RgbImage::from_raw(width, height, rgb.clone()).unwrap());
                let ours = PerceptualHash::of(&Picture::from_rgb(width, height, rgb).unwrap());
                assert_eq!(ours.0.to_le_bytes(), theirs.as_bytes(), "{width}x{height}, {which}");
            }
        }
    }

    #[test]
    fn grey_is_that_of_the_image_crate() {
        let rgb = noise(3 * 64 * 64);
        let picture = RgbImage::from_raw(64, 64, rgb.clone()).unwrap();
        assert_eq!(luma(&rgb), image::imageops::grayscale(&picture).into_raw());
    }
}
