//! Pictures as the metrics see them: 8-bit RGB, decoded within limits.
//!
//! Treatment of what is not plain RGB, chosen to agree with both `PIL.Image.convert("RGB")` and
//! `cv2.imread`: alpha is dropped (not composited), grey is repeated into three channels, palettes
//! are expanded. Colour profiles and EXIF orientation are ignored, as PIL does. Pictures with more
//! than 8 bits a channel and CMYK JPEGs are refused: the reference libraries disagree about them.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

pub use edgemaxx_contract::task::picture::MAX_PIXELS;

use super::jpeg::inspect_jpeg;
use crate::error::{QualityError, Result};

/// Largest width or height that is decoded, pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Bytes that a PNG's decoder may take for anything but the picture: rows, texts, and a colour profile, which is left out
/// where it is larger.
const MAX_ASIDE: u64 = 16 << 20;
/// Largest picture file that is read, bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// An 8-bit RGB picture, rows from the top, channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// One 8-bit channel of a picture, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Plane {
    /// Width, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The values, `width * height` of them.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Row `y`, counted from the top; `y` must be below [`Plane::height`].
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

impl Picture {
    /// Takes `width * height * 3` interleaved RGB bytes.
    ///
    /// # Errors
    /// When the picture is empty, above the limits, or the byte count does not fit its size.
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self> {
        Self::check_size("picture", width, height)?;
        let expected = u64::from(width) * u64::from(height) * 3;
        if rgb.len() as u64 != expected {
            return Err(refuse(
                "picture",
                format!("{} bytes for {width}x{height} RGB, expected {expected}", rgb.len()),
                "pass width * height * 3 interleaved bytes",
            ));
        }
        Ok(Self { width, height, rgb })
    }

    /// Reads and decodes a PNG, JPEG or WebP file.
    ///
    /// # Errors
    /// When the file is missing, no regular file, too large, truncated, of another format, of more
    /// than 8 bits a channel or CMYK. Sizes are checked before pixels are allocated.
    pub fn open(path: &Path) -> Result<Self> {
        Self::decode(&Self::bytes(path)?, &path.display().to_string())
    }

    /// The bytes of a picture's file, bounded.
    pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
        let fail = |source| QualityError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        if !file.metadata().map_err(fail)?.is_file() {
            let name = path.display().to_string();
            return Err(refuse(&name, "not a regular file".into(), "pass a PNG, JPEG or WebP file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        Ok(bytes)
    }

    /// Decodes a PNG, JPEG or WebP file held in memory; `name` appears in errors.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(refuse(
                name,
                format!("file above {} MiB", MAX_FILE_BYTES >> 20),
                "pass a smaller picture",
            ));
        }
        let broken = |e: image::ImageError| {
            refuse(name, format!("cannot be decoded: {e}"), "write the picture anew as 8-bit RGB PNG")
        };
        let format = image::guess_format(bytes)
            .ok()
            .filter(|f| matches!(f, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP))
            .ok_or_else(|| {
                refuse(name, "not a PNG, JPEG or WebP file".into(), "convert it to 8-bit RGB PNG")
            })?;
        if format == ImageFormat::Jpeg {
            let facts = inspect_jpeg(bytes);
            if facts.components == Some(4) {
                return Err(refuse(name, "a CMYK JPEG".into(), "convert it to RGB"));
            }
            if !facts.complete {
                return Err(refuse(name, "a truncated JPEG".into(), "write the picture anew"));
            }
        }
        let mut decoder = decoder(bytes, format).map_err(broken)?;
        let (width, height) = decoder.dimensions();
        Self::check_size(name, width, height)?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_PIXELS * 8);
        decoder.set_limits(limits).map_err(broken)?;
        match decoder.color_type() {
            ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {}
            other => {
                return Err(refuse(
                    name,
                    format!("{} bits a channel ({other:?}), expected 8", bits(other)),
                    "convert it to 8-bit RGB",
                ));
            }
        }
        let rgb = DynamicImage::from_decoder(decoder).map_err(broken)?.into_rgb8().into_raw();
        Self::from_rgb(width, height, rgb)
    }

    /// Width, pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The interleaved RGB bytes, `width * height * 3` of them.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Grey values as OpenCV's `COLOR_RGB2GRAY` computes them for 8-bit pictures:
    /// `(9798 R + 19235 G + 3735 B + 2^14) >> 15` (equal for all 2^24 colours to OpenCV 5.0.0).
    pub fn grey(&self) -> Plane {
        let values = self
            .rgb
            .chunks_exact(3)
            .map(|p| {
                let sum = u32::from(p[0]) * 9798 + u32::from(p[1]) * 19235 + u32::from(p[2]) * 3735;
                ((sum + (1 << 14)) >> 15) as u8
            })
            .collect();
        Plane { width: self.width as usize, height: self.height as usize, values }
    }

    /// Refuses sizes that are empty or above the limits; `name` appears in the error.
    pub(crate) fn check_size(name: &str, width: u32, height: u32) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(refuse(name, "an empty picture".into(), "pass at least one pixel"));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
            let problem = format!(
                "{width}x{height} is above the limit of {MAX_SIDE} pixels a side and {MAX_PIXELS} in all"
            );
            return Err(refuse(name, problem, "pass a smaller picture"));
        }
        Ok(())
    }

    /// Checks that a pair can be compared pixel by pixel.
    ///
    /// # Errors
    /// [`QualityError::UnequalSizes`] when it cannot.
    pub fn same_size(&self, other: &Self) -> Result<()> {
        let (a, b) = ((self.width, self.height), (other.width, other.height));
        if a == b { Ok(()) } else { Err(QualityError::UnequalSizes { a, b }) }
    }
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

fn refuse(name: &str, problem: String, advice: &'static str) -> QualityError {
    QualityError::Picture { name: name.to_owned(), problem, advice }
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
}
