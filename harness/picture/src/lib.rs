//! Pictures as everybody here knows them: 8-bit RGB, read within limits, written as PNG and JPEG.

mod decode;
mod encode;
mod error;
mod jpeg;
mod pixels;
mod png;

pub use error::PictureError;
pub use pixels::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Picture, Plane};
