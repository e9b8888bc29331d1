//! Perceptual hash: image_hasher's median hash of a discrete cosine transform (pHash), 8×8 bits.

use image::RgbImage;
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
        let pixels = RgbImage::from_raw(picture.width(), picture.height(), picture.rgb().to_vec())
            .ok_or_else(|| QualityError::Vector {
                what: "perceptual hash",
                problem: "byte count does not fit the picture's size".into(),
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

/// Number of differing bits between the perceptual hashes of two pictures, 0 to 64.
///
/// # Errors
/// As [`PerceptualHash::of`].
pub fn phash_distance(a: &Picture, b: &Picture) -> Result<u32> {
    Ok(PerceptualHash::of(a)?.distance(&PerceptualHash::of(b)?))
}
