//! Perceptual hash: image_hasher's median hash of a discrete cosine transform (pHash), 8×8 bits.

use image::GrayImage;
use image_hasher::{HashAlg, HasherConfig, ImageHash};

use crate::error::{QualityError, Result};
use crate::picture::Picture;

/// 64 bits that change little when a picture does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerceptualHash(ImageHash<[u8; 8]>);

impl PerceptualHash {
    /// Hashes a picture with `HashAlg::Median` after `preproc_dct`, size 8×8.
    ///
    /// # Errors
    /// Never for a [`Picture`] of this crate; the byte count is checked again by the library.
    pub fn of(picture: &Picture) -> Result<Self> {
        let pixels =
            GrayImage::from_raw(picture.width(), picture.height(), luma(picture.rgb())).ok_or_else(|| {
                QualityError::Vector {
                    what: "perceptual hash",
                    problem: "byte count does not fit the picture's size".into(),
                }
            })?;
        let hasher = HasherConfig::with_bytes_type::<[u8; 8]>()
            .hash_alg(HashAlg::Median)
            .hash_size(8, 8)
            .preproc_dct()
            .to_hasher();
        Ok(Self(hasher.hash_image(&pixels)))
    }

    /// Number of differing bits, 0 to 64.
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.dist(&other.0)
    }

    /// The bits as hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.as_bytes().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Grey as image_hasher would make it of RGB: the image crate's `to_luma`, in one pass.
fn luma(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let weighted = |[r, g, b]: &[u8; 3]| 2126 * u32::from(*r) + 7152 * u32::from(*g) + 722 * u32::from(*b);
    pixels.iter().map(|pixel| (weighted(pixel) / 10_000) as u8).collect()
}

/// Number of differing bits between the perceptual hashes of two pictures, 0 to 64.
///
/// # Errors
/// As [`PerceptualHash::of`].
pub fn phash_distance(a: &Picture, b: &Picture) -> Result<u32> {
    Ok(PerceptualHash::of(a)?.distance(&PerceptualHash::of(b)?))
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn grey_is_that_of_the_image_crate() {
        let rgb: Vec<u8> = (0..3 * 64 * 64u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let picture = RgbImage::from_raw(64, 64, rgb.clone()).unwrap();
        assert_eq!(luma(&rgb), image::imageops::grayscale(&picture).into_raw());
    }
}
