//! An answer's bytes as a picture of the size asked for.

use std::io::Cursor;

use edgemaxx_protocol::{Encoding, Image};
use image::{ImageFormat, ImageReader, Limits};

/// `width × height × 3` bytes.
///
/// # Errors
/// In words, what is wrong with the picture.
pub(super) fn rgb(picture: Image, width: u32, height: u32) -> Result<Vec<u8>, String> {
    let size_error = |w, h| format!("a picture of {w}×{h} pixels; {width}×{height} were asked for");
    if (picture.width, picture.height) != (width, height) {
        return Err(size_error(picture.width, picture.height));
    }
    match picture.encoding {
        Encoding::Rgb8 => Ok(picture.bytes),
        Encoding::Png => {
            let mut reader = ImageReader::with_format(Cursor::new(picture.bytes), ImageFormat::Png);
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
            Ok(decoded.into_rgb8().into_raw())
        }
    }
}
