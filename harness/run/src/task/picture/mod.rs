//! Pictures from text, to those who run contests of them.

mod checkpoint;
mod engine;
mod kit;
mod prompts;
mod rehearse;
mod work;

pub use engine::load_options;
pub use kit::{PICTURE, PictureKit};
