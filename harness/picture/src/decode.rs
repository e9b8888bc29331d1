//! Reading pictures.
//!
//! What is judged is what is seen. A picture that can be seen through looks different on every ground, so
//! alpha below 255 is refused; a picture that says it is to be turned (EXIF) is turned; what moves is refused. Grey is repeated
//! into three channels, palettes are expanded, colour profiles are ignored, as PIL and OpenCV do. Pictures
//! with more than 8 bits a channel and CMYK JPEGs are refused: the reference libraries disagree about them.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::error::PictureError;
use crate::jpeg::inspect_jpeg;
use crate::pixels::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Picture};
use crate::png::{PngFacts, inspect_png, webp_moves};

/// Bytes that a PNG's decoder may take for anything but the picture: rows, texts, and a colour profile, which is left out
/// where it is larger.
const MAX_ASIDE: u64 = 16 << 20;

/// What is read where nothing else is said.
const FORMATS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];

impl Picture {
    /// Reads and decodes a PNG, JPEG or WebP file.
    ///
    /// # Errors
    /// When the file is missing, no regular file, too large, truncated, of another format, of more
    /// than 8 bits a channel, CMYK, or not opaque. Sizes are checked before pixels are allocated.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        Self::decode(&Self::bytes(path)?, &path.display().to_string())
    }

    /// The bytes of a picture's file, bounded.
    ///
    /// # Errors
    /// When the file is missing, no regular file or cannot be read.
    pub fn bytes(path: &Path) -> Result<Vec<u8>, PictureError> {
        let fail = |source| PictureError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        if !file.metadata().map_err(fail)?.is_file() {
            let name = path.display().to_string();
            return Err(unfit(&name, "not a regular file", "pass a PNG, JPEG or WebP file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        Ok(bytes)
    }

    /// Decodes a PNG, JPEG or WebP file held in memory; `name` appears in errors.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, PictureError> {
        Self::decode_within(bytes, name, &FORMATS, (MAX_SIDE, MAX_SIDE))
    }

    /// Decodes a PNG of that width and height, whatever it claims.
    ///
    /// # Errors
    /// As [`Picture::open`]; also when it is no PNG, or of another size.
    pub fn decode_png(bytes: &[u8], name: &str, size: (u32, u32)) -> Result<Self, PictureError> {
        let picture = Self::decode_within(bytes, name, &[ImageFormat::Png], size)?;
        let found = (picture.width(), picture.height());
        if found == size { Ok(picture) } else { Err(other_size(name, found, size)) }
    }

    fn decode_within(
        bytes: &[u8],
        name: &str,
        formats: &[ImageFormat],
        most: (u32, u32),
    ) -> Result<Self, PictureError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(unfit(
                name,
                format!("file above {} MiB", MAX_FILE_BYTES >> 20),
                "pass a smaller picture",
            ));
        }
        let broken = |e: image::ImageError| {
            unfit(name, format!("cannot be decoded: {e}"), "write the picture anew as 8-bit RGB PNG")
        };
        let format =
            image::guess_format(bytes).ok().filter(|format| formats.contains(format)).ok_or_else(|| {
                let known = if formats.len() > 1 { "PNG, JPEG or WebP" } else { "PNG" };
                unfit(name, format!("not a {known} file"), "convert it to 8-bit RGB PNG")
            })?;
        if format == ImageFormat::Jpeg {
            let facts = inspect_jpeg(bytes);
            if facts.components == Some(4) {
                return Err(unfit(name, "a CMYK JPEG", "convert it to RGB"));
            }
            if !facts.complete {
                return Err(unfit(name, "a truncated JPEG", "write the picture anew"));
            }
        }
        let png = if format == ImageFormat::Png { inspect_png(bytes) } else { PngFacts::default() };
        if png.moves || format == ImageFormat::WebP && webp_moves(bytes) {
            return Err(unfit(name, "an animation", "write the one picture that is meant"));
        }
        let mut decoder = decoder(bytes, format).map_err(broken)?;
        let (width, height) = decoder.dimensions();
        Self::check_size(name, width, height)?;
        if width > most.0 || height > most.1 {
            return Err(other_size(name, (width, height), most));
        }
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_PIXELS * 8);
        decoder.set_limits(limits).map_err(broken)?;
        match decoder.color_type() {
            ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {}
            other => {
                return Err(unfit(
                    name,
                    format!("{} bits a channel ({other:?}), expected 8 bits", bits(other)),
                    "convert it to 8-bit RGB",
                ));
            }
        }
        let late = png.late_exif.and_then(Orientation::from_exif_chunk);
        let orientation = late.map_or_else(|| decoder.orientation(), Ok).map_err(broken)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
        opaque(&image).map_err(|problem| {
            unfit(name, problem, "write it as RGB, on the ground it should be seen on, or with alpha 255")
        })?;
        image.apply_orientation(orientation);
        Ok(Self::of_image(image.into_rgb8()))
    }
}

fn other_size(name: &str, (width, height): (u32, u32), (wanted, high): (u32, u32)) -> PictureError {
    let problem = format!("{width}×{height} pixels; {wanted}×{high} were asked for");
    unfit(name, problem, "make it of the size asked for")
}

/// A decoder that has read what stands before the picture, within [`MAX_ASIDE`].
fn decoder(bytes: &[u8], format: ImageFormat) -> image::ImageResult<impl ImageDecoder> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ASIDE);
    reader.limits(limits);
    reader.into_decoder()
}

fn bits(color: ColorType) -> u16 {
    color.bits_per_pixel() / u16::from(color.channel_count())
}

/// Refuses a picture through which something else would be seen.
fn opaque(image: &DynamicImage) -> Result<(), String> {
    let (mut seen_through, mut least) = (0u64, u8::MAX);
    let mut look = |alpha: u8| {
        if alpha < u8::MAX {
            (seen_through, least) = (seen_through + 1, least.min(alpha));
        }
    };
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().for_each(|pixel| look(pixel.0[3])),
        DynamicImage::ImageLumaA8(image) => image.pixels().for_each(|pixel| look(pixel.0[1])),
        _ => {}
    }
    if seen_through == 0 {
        return Ok(());
    }
    Err(format!(
        "an alpha channel that is not opaque: {seen_through} of {} pixels, alpha down to {least} of 255",
        u64::from(image.width()) * u64::from(image.height())
    ))
}

fn unfit(name: &str, problem: impl Into<String>, advice: &'static str) -> PictureError {
    PictureError::unfit(name, problem, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(side: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayImage::new(side, side).write_to(&mut bytes, ImageFormat::Png).expect("encodes");
        bytes.into_inner()
    }

    /// A chunk of a PNG; the checksum is that of PNG's specification, annex D.
    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let named = [kind, data].concat();
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        let crc = !named.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
        [(data.len() as u32).to_be_bytes().as_slice(), &named, &crc.to_be_bytes()].concat()
    }

    /// The compressed rows of a black picture, which make a profile as well as anything.
    fn compressed(side: u32) -> Vec<u8> {
        let bytes = png(side);
        let mut data = Vec::new();
        let mut at = 8;
        while let Some(head) = bytes.get(at..at + 8) {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if &head[4..] == b"IDAT" {
                data.extend_from_slice(&bytes[at + 8..at + 8 + length]);
            }
            at += length + 12;
        }
        data
    }

    #[test]
    fn a_colour_profile_that_inflates_without_bound_is_left_out() {
        for (side, kept) in [(1000, true), (5000, false)] {
            let mut bytes = png(16);
            let profile = chunk(b"iCCP", &[b"x\0\0".as_slice(), &compressed(side)].concat());
            bytes.splice(33..33, profile);
            let found = decoder(&bytes, ImageFormat::Png).expect("a header").icc_profile().expect("reads");
            assert_eq!(found.is_some(), kept, "{side}");
            assert_eq!(Picture::decode(&bytes, "bomb").expect("a picture").width(), 16);
        }
    }

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).expect("encodes");
        bytes.into_inner()
    }

    #[test]
    fn what_can_be_seen_through_is_refused_by_name() {
        let rgba = |alpha| {
            image::RgbaImage::from_fn(3, 2, |x, _| image::Rgba([9, 8, 7, if x == 1 { alpha } else { 255 }]))
        };
        let opaque = Picture::decode(&encoded(rgba(255), ImageFormat::Png), "opaque").expect("opaque");
        assert_eq!(opaque.rgb()[..3], [9, 8, 7]);
        let grey =
            image::GrayAlphaImage::from_fn(3, 2, |x, _| image::LumaA([9, if x == 1 { 254 } else { 255 }]));
        for (bytes, least) in [
            (encoded(rgba(0), ImageFormat::Png), "0 of 255"),
            (encoded(rgba(254), ImageFormat::WebP), "254 of 255"),
            (encoded(grey, ImageFormat::Png), "254 of 255"),
        ] {
            let words = Picture::decode(&bytes, "glass.png").expect_err("two pixels").to_string();
            assert!(
                words.starts_with("glass.png: an alpha channel") && words.contains("2 of 6 pixels"),
                "{words}"
            );
            assert!(words.contains(least), "{words}");
        }
    }

    #[test]
    fn what_moves_is_refused() {
        let mut bytes = png(16);
        bytes.splice(33..33, chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]));
        let grey = image::RgbImage::new(16, 16);
        let simple = encoded(grey, ImageFormat::WebP);
        assert!(Picture::decode(&simple, "still.webp").is_ok());
        // An animation's header, with the flag of one and the size of the canvas.
        let extended =
            [b"VP8X\x0a\0\0\0\x02\0\0\0".as_slice(), &[15, 0, 0, 15, 0, 0], &simple[12..]].concat();
        let size = (extended.len() as u32 + 4).to_le_bytes();
        let webp = [b"RIFF".as_slice(), &size, b"WEBP", &extended].concat();
        for bytes in [bytes, webp] {
            let words = Picture::decode(&bytes, "moves").expect_err("frames").to_string();
            assert!(words.starts_with("moves: an animation"), "{words}");
        }
    }

    /// The TIFF of an EXIF segment that says nothing but the orientation.
    fn orientation(value: u8) -> Vec<u8> {
        let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, value, 0, 0, 0];
        [b"II*\0".as_slice(), &8u32.to_le_bytes(), &1u16.to_le_bytes(), &entry, &[0; 4]].concat()
    }

    #[test]
    fn a_picture_is_turned_as_it_says() {
        let wide =
            image::RgbImage::from_fn(16, 8, |x, _| image::Rgb(if x < 8 { [250, 0, 0] } else { [0, 0, 250] }));
        let exif = [b"Exif\0\0".as_slice(), &orientation(6)].concat();
        let mut jpeg = encoded(wide.clone(), ImageFormat::Jpeg);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        jpeg.splice(2..2, [&[0xff, 0xe1], &length[..], &exif].concat());
        let png = |at: usize| {
            let mut png = encoded(wide.clone(), ImageFormat::Png);
            let at = if at == 0 { png.len() - 12 } else { at };
            png.splice(at..at, chunk(b"eXIf", &orientation(6)));
            png
        };
        // PNG's EXIF may stand before the picture or behind it.
        for bytes in [jpeg, png(33), png(0)] {
            // 6: what is left in the file is above on the screen.
            let upright = Picture::decode(&bytes, "turned").expect("a picture");
            assert_eq!((upright.width(), upright.height()), (8, 16));
            let (above, below) = upright.rgb().split_at(3 * 8 * 8);
            assert!(above[0] > 200 && above[2] < 50 && below[below.len() - 1] > 200, "{above:?}");
        }
    }
}
