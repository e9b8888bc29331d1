//! An answer's bytes as a picture of the size asked for.

use edgemaxx_picture::Picture;

use super::objects::{Encoding, Head};

/// The picture of that size.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn decoded(head: Head, payload: &[u8], width: u32, height: u32) -> Result<Picture, String> {
    if (head.width, head.height) != (width, height) {
        return Err(format!(
            "a picture of {}×{} pixels; {width}×{height} were asked for",
            head.width, head.height
        ));
    }
    match head.encoding {
        Encoding::Rgb8 => {
            let expected = u64::from(width) * u64::from(height) * 3;
            if payload.len() as u64 != expected {
                return Err(format!(
                    "a picture of {} bytes; {width}×{height}×3 = {expected} were expected",
                    payload.len()
                ));
            }
            Picture::from_rgb(width, height, payload.to_vec()).map_err(|error| error.to_string())
        }
        Encoding::Png => Picture::decode_png(payload, "a PNG that cannot be read", (width, height))
            .map_err(|error| error.to_string()),
    }
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
        decoded(Head { width: 2, height: 1, encoding }, payload, 2, 1).map(Picture::into_rgb)
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
            decoded(Head { width: 1, height: 1, encoding: Encoding::Rgb8 }, &[0; 3], 2, 1).expect_err("size");
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
