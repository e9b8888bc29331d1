//! An answer's bytes as a picture of the size asked for.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::objects::{Encoding, Head};

/// `width × height × 3` bytes.
///
/// # Errors
/// In words, what is wrong with the picture.
pub(super) fn rgb(head: Head, payload: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let size_error = |w, h| format!("a picture of {w}×{h} pixels; {width}×{height} were asked for");
    if (head.width, head.height) != (width, height) {
        return Err(size_error(head.width, head.height));
    }
    match head.encoding {
        Encoding::Rgb8 => {
            let expected = u64::from(width) * u64::from(height) * 3;
            if payload.len() as u64 == expected {
                return Ok(payload.to_vec());
            }
            Err(format!(
                "a picture of {} bytes; {width}×{height}×3 = {expected} were expected",
                payload.len()
            ))
        }
        Encoding::Png => {
            let mut reader = ImageReader::with_format(Cursor::new(payload), ImageFormat::Png);
            let mut limits = Limits::no_limits();
            limits.max_image_width = Some(width);
            limits.max_image_height = Some(height);
            // 16-bit RGBA is the most a PNG of this size decodes to, and a second copy of it.
            limits.max_alloc = Some(u64::from(width) * u64::from(height) * 16 + (1 << 20));
            reader.limits(limits);
            let decoded = reader.decode().map_err(|error| format!("a PNG that cannot be read: {error}"))?;
            if (decoded.width(), decoded.height()) != (width, height) {
                return Err(size_error(decoded.width(), decoded.height()));
            }
            if decoded.color().bits_per_pixel() / u16::from(decoded.color().channel_count()) != 8 {
                return Err("a PNG of more than 8 bits per channel".to_owned());
            }
            opaque(&decoded)?;
            Ok(decoded.into_rgb8().into_raw())
        }
    }
}

/// Refuses a picture through which something else would be seen: whoever looks at it sees other
/// colours than its bytes say.
fn opaque(picture: &DynamicImage) -> Result<(), String> {
    if !picture.color().has_alpha() {
        return Ok(());
    }
    let alphas = picture.to_rgba8();
    let (mut seen_through, mut least) = (0u64, u8::MAX);
    for pixel in alphas.pixels().filter(|pixel| pixel.0[3] < u8::MAX) {
        (seen_through, least) = (seen_through + 1, least.min(pixel.0[3]));
    }
    if seen_through == 0 {
        return Ok(());
    }
    Err(format!(
        "a PNG with an alpha channel that is not opaque: {seen_through} of {} pixels, alpha down to {least} of 255; \
         send RGB, or alpha 255",
        u64::from(picture.width()) * u64::from(picture.height())
    ))
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

    use super::*;

    fn png(bytes: &[u8], color: ExtendedColorType) -> Vec<u8> {
        let mut png = Vec::new();
        PngEncoder::new(&mut png).write_image(bytes, 2, 1, color).expect("a PNG");
        png
    }

    fn read(payload: &[u8], encoding: Encoding) -> Result<Vec<u8>, String> {
        rgb(Head { width: 2, height: 1, encoding }, payload, 2, 1)
    }

    #[test]
    fn raw_pixels_and_png_files_are_read() {
        let pixels = [1, 2, 3, 250, 251, 252];
        assert_eq!(read(&pixels, Encoding::Rgb8).as_deref(), Ok(&pixels[..]));
        assert_eq!(read(&png(&pixels, ExtendedColorType::Rgb8), Encoding::Png).as_deref(), Ok(&pixels[..]));
        let grey = png(&[7, 8], ExtendedColorType::L8);
        assert_eq!(read(&grey, Encoding::Png).as_deref(), Ok(&[7, 7, 7, 8, 8, 8][..]));
        let words = read(&pixels[..5], Encoding::Rgb8).expect_err("five bytes");
        assert!(words.contains("5 bytes; 2×1×3 = 6"), "{words}");
        let words =
            rgb(Head { width: 1, height: 1, encoding: Encoding::Rgb8 }, &[0; 3], 2, 1).expect_err("size");
        assert!(words.contains("1×1 pixels; 2×1 were asked for"), "{words}");
    }

    #[test]
    fn what_can_be_seen_through_is_refused_by_name() {
        let opaque = png(&[1, 2, 3, 255, 4, 5, 6, 255], ExtendedColorType::Rgba8);
        assert_eq!(read(&opaque, Encoding::Png).as_deref(), Ok(&[1, 2, 3, 4, 5, 6][..]));
        for (bytes, color) in [
            (&[1, 2, 3, 255, 4, 5, 6, 254][..], ExtendedColorType::Rgba8),
            (&[1, 255, 2, 254][..], ExtendedColorType::La8),
        ] {
            let words = read(&png(bytes, color), Encoding::Png).expect_err("one pixel");
            assert!(words.contains("alpha") && words.contains("1 of 2 pixels"), "{words}");
            assert!(words.contains("254 of 255"), "{words}");
        }
    }

    #[test]
    fn more_than_eight_bits_are_refused() {
        let deep = png(&[0; 12], ExtendedColorType::Rgb16);
        assert!(read(&deep, Encoding::Png).expect_err("16 bits").contains("8 bits"));
    }
}
