//! CLIP as transformers defines it: text encoder and tokenizer.
mod config;
mod encoder;
mod text;
mod tokenizer;

pub use config::{ClipConfig, ClipTextConfig, ClipVisionConfig};
pub use encoder::{Encoder, EncoderShape};
pub use text::{ClipText, TextOutput};
pub use tokenizer::ClipTokenizer;
