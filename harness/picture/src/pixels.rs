//! The one picture: its size and its bytes.

use image::RgbImage;

pub use edgemaxx_contract::task::picture::MAX_PIXELS;

use crate::error::PictureError;

/// Largest width or height that is read, pixels.
pub const MAX_SIDE: u32 = 16_384;
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
    pub fn row(&self, y: usize) -> &[u8] {
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

impl Picture {
    /// Takes `width * height * 3` interleaved RGB bytes.
    ///
    /// # Errors
    /// When the picture is empty, above the limits, or the byte count does not fit its size.
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, PictureError> {
        Self::check_size("picture", width, height)?;
        let expected = u64::from(width) * u64::from(height) * 3;
        if rgb.len() as u64 != expected {
            return Err(PictureError::unfit(
                "picture",
                format!("{} bytes for {width}x{height} RGB, expected {expected}", rgb.len()),
                "pass width * height * 3 interleaved bytes",
            ));
        }
        Ok(Self { width, height, rgb })
    }

    /// Of a decoded image, whose size was checked.
    pub(crate) fn of_image(image: RgbImage) -> Self {
        Self { width: image.width(), height: image.height(), rgb: image.into_raw() }
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

    /// The same, without the picture.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
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
    ///
    /// # Errors
    /// [`PictureError::Unfit`] names the limits.
    pub fn check_size(name: &str, width: u32, height: u32) -> Result<(), PictureError> {
        if width == 0 || height == 0 {
            return Err(PictureError::unfit(name, "an empty picture", "pass at least one pixel"));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
            let problem = format!(
                "{width}x{height} is above the limit of {MAX_SIDE} pixels a side and {MAX_PIXELS} in all"
            );
            return Err(PictureError::unfit(name, problem, "pass a smaller picture"));
        }
        Ok(())
    }
}
