//! Pictures as files.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, RgbImage, imageops};

use crate::error::PictureError;
use crate::pixels::Picture;

impl Picture {
    /// As a PNG; equal pictures give equal files.
    ///
    /// # Errors
    /// When the encoder fails, which no picture makes it do.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::with_capacity(self.rgb().len() / 2 + 1024);
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub)
            .write_image(self.rgb(), self.width(), self.height(), ExtendedColorType::Rgb8)
            .map_err(|error| PictureError::unfit("PNG", error.to_string(), "report this as a defect"))?;
        Ok(bytes)
    }

    /// As a JPEG of that quality, 1 to 100.
    ///
    /// # Errors
    /// When the encoder fails: a side is longer than a JPEG's can be.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .write_image(self.rgb(), self.width(), self.height(), ExtendedColorType::Rgb8)
            .map_err(|error| PictureError::unfit("JPEG", error.to_string(), "make the picture smaller"))?;
        Ok(bytes)
    }

    /// The picture made smaller, so that its longer edge is at most `edge` pixels.
    #[must_use]
    pub fn within(self, edge: u32) -> Self {
        if self.width().max(self.height()) <= edge {
            return self;
        }
        let (width, height) = (self.width(), self.height());
        let Some(image) = RgbImage::from_raw(width, height, self.into_rgb()) else {
            unreachable!("a picture has as many bytes as its size says");
        };
        let small =
            DynamicImage::ImageRgb8(image).resize(edge, edge, imageops::FilterType::Triangle).into_rgb8();
        Self::of_image(small)
    }
}
