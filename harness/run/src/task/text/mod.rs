//! Texts, to those who run contests of them.

mod encoder;
mod engine;
mod kit;
mod rehearse;
mod transformers;
mod work;

pub use encoder::{Recalled, Tokenizer};
pub use kit::{TEXT, TextKit};
