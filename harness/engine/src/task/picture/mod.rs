//! Pictures from text.

mod codec;
mod decode;
mod objects;
mod png;
mod probes;
mod serve;

pub use codec::{PICTURE, PictureCodec};
pub use objects::{Ask, Encoding, Head, LatentShape, Ready, Settings};
pub use png::png_bytes;
pub use serve::{Picture, Request, serve, serve_over};
