//! Pictures from text.

mod codec;
mod decode;
mod objects;
mod probes;
mod serve;

pub use codec::{PICTURE, PictureCodec};
pub use objects::{Ask, Encoding, Head, LatentShape, Ready, Settings};
pub use serve::{Picture, Request, loaded, serve, serve_over};
