//! Pictures as files.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, ImageResult};

/// The PNG of `width × height × 3` RGB bytes; equal pixels give equal files.
///
/// # Errors
/// The number of bytes does not fit the size.
pub fn png_bytes(rgb: &[u8], width: u32, height: u32) -> ImageResult<Vec<u8>> {
    let mut png = Vec::with_capacity(rgb.len() / 2 + 1024);
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Sub).write_image(
        rgb,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(png)
}
